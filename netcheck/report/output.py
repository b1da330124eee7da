"""From reports to what goes out, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netcheck.errors import UsageError
from netcheck.findings import Report
from netcheck.report import selection
from netcheck.settings import Settings


def rendered(reports: Sequence[Report], settings: Settings, *, colour: bool) -> str:
    """The reports in `settings.format`. Each format is a module, imported when it is asked for."""
    reports = selection.as_bad_as(reports, settings.min_severity)
    verbose, quiet = settings.verbose, settings.quiet
    match settings.format:
        case "json":
            from netcheck.report import json

            return json.render(reports, statistics=settings.statistics)
        case "json-lines":
            from netcheck.report import json_lines

            return json_lines.render(reports, statistics=settings.statistics)
        case "github":
            from netcheck.report import github

            return github.render(reports)
        case "sarif":
            from netcheck.report import sarif

            return sarif.render(reports)
        case "junit":
            from netcheck.report import junit

            return junit.render(reports, fail_on=settings.fail_on, require=settings.require)
        case "markdown":
            from netcheck.report import markdown

            return markdown.render(reports, verbose=verbose, statistics=settings.statistics)
        case "svg":
            from netcheck.report import svg

            return svg.render(reports)
        case "html":
            from netcheck.report import html

            return html.render(reports)
    if settings.statistics:
        from netcheck.report import statistics

        return statistics.render(reports, colour=colour, verbose=verbose, quiet=quiet)
    if settings.format == "concise":
        from netcheck.report import concise

        return concise.render(reports, colour=colour, verbose=verbose, quiet=quiet)
    from netcheck.report import text

    return text.render(reports, colour=colour, verbose=verbose, quiet=quiet)


def save(text: str, file: Path) -> None:
    """Write `text` to `file` in UTF-8.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write --output-file {file}: {error.strerror or error}") from error
