"""`netcheck diff`: two models side by side."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netcheck.cli.completion import complete_file
from netcheck.cli.printing import show

if TYPE_CHECKING:
    from netcheck.findings import Report
    from netcheck.settings import Settings

FORMATS = ("text", "markdown", "html", "json")


@click.command(short_help="Compare two models: what does a change do?")
@click.argument("old", shell_complete=complete_file)
@click.argument("new", shell_complete=complete_file)
@click.option("--input", "inputs", metavar="SPEC", multiple=True, help="Example input of both, as for `netcheck check`.")
@click.option("--weights", nargs=2, type=click.Path(), metavar="OLD NEW", help="Two checkpoints: one for each.")
@click.option("--no-probe", is_flag=True, help="Compare the graphs alone, without measuring gradients.")
@click.option("--format", type=click.Choice(FORMATS), default="text", help="How to write it.  [default: text]")
@click.option("--output-file", type=click.Path(), metavar="FILE", help="Write it to FILE.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "info", "never"]),
    default="warning",
    help="The least severity of a new finding that makes the exit code 1.  [default: warning]",
)
def diff(old: str, new: str, format: str, output_file: str | None, fail_on: str, **options: Any) -> int:
    """Compare the models OLD and NEW: operations, parameters, FLOPs, the gradient by layer, findings that came and went.

    Each is file.py, file.py:Class, or file.py@REVISION and file.py@REVISION:Class for the file as git has it. Of files with
    several models those with one name belong together. With --weights, one file with two checkpoints.

    Exit codes: 0 nothing as bad as --fail-on came, 1 something did, 2 nothing could be compared.
    """
    from netcheck.compare import comparison
    from netcheck.findings import Severity
    from netcheck.report import output

    weights = options["weights"] or (None, None)
    with ExitStack() as stack:
        reports = [checked(name, stack, options, weights=one) for name, one in zip((old, new), weights, strict=True)]
        paired = comparison.pairs(*reports)
        labels = (" with ".join(filter(None, (name, one))) for name, one in zip((old, new), weights, strict=True))
        before, after = labels
        found = [
            comparison.compare(one, other, (f"{one.model} ({before})", f"{other.model} ({after})"))
            for one, other in paired
            if one is not None and other is not None and one.network is not None and other.network is not None
        ]
        alone = list(left_alone(paired, before, after))
        text = rendered(found, alone, format)
    if output_file:
        output.save(text, Path(output_file))
    else:
        show(text)
    if not found:
        return 2
    return int(fail_on != "never" and any(one.worse(Severity(fail_on)) for one in found))


def checked(name: str, stack: ExitStack, options: dict[str, Any], *, weights: str | None) -> list[Report]:
    """The reports on the models of one side."""
    from netcheck import worker
    from netcheck.settings import gather
    from netcheck.source.revisions import checked_out

    target = stack.enter_context(checked_out(name))
    given = {"inputs": options["inputs"], "weights": weights, "probe": False if options["no_probe"] else None}
    settings: Settings = gather.gather(given, targets=(target,), environment=os.environ).settings
    # The cost is worked out where a format shows it.
    return worker.check_targets(replace(settings, format="json", cache=settings.cache and target == name))


def left_alone(paired: Any, before: str, after: str) -> Any:
    """A sentence for each model that is not compared."""
    for one, other in paired:
        if one is None:
            yield f"{other.model} is new in {after}."
        elif other is None:
            yield f"{one.model} is in {before} alone."
        else:
            for report, where in ((one, before), (other, after)):
                if report.network is None:
                    told = report.findings[0].message if report.findings else "; ".join(report.skipped)
                    yield f"{report.model} ({where}) could not be run: {told}"


def rendered(found: Any, alone: list[str], format: str) -> str:
    """The comparisons in a format."""
    from netcheck.compare import data, page, text
    from netcheck.report.terminal import wants_colour

    if format == "json":
        return data.render(found, alone)
    if format == "html":
        return page.render(found, alone)
    if format == "markdown":
        return text.as_markdown(found, alone)
    return text.render(found, alone, colour=wants_colour(sys.stdout, None, os.environ))
