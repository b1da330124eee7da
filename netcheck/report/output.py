"""From reports to what goes out, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netcheck.errors import UsageError
from netcheck.findings import Report
from netcheck.settings import Settings


def rendered(reports: Sequence[Report], settings: Settings, *, colour: bool) -> str:
    """The reports in `settings.format`."""
    if settings.format == "json":
        from netcheck.report import json

        return json.render(reports)
    from netcheck.report import text

    return text.render(reports, colour=colour, verbose=settings.verbose, quiet=settings.quiet)


def save(text: str, file: Path) -> None:
    """Write `text` to `file` in UTF-8.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write --output-file {file}: {error.strerror or error}") from error
