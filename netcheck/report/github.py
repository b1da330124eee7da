"""Annotations in GitHub Actions: workflow commands, which the runner reads from standard output.

    ::error file=src/model.py,line=12,col=46,endColumn=63,title=poor-init (NC501)::the gradient loses ...%0A...

The platform shows at most ten errors, ten warnings and ten notices of a step and drops what comes later, so they go
out worst first, ten of each; the rest follows as plain lines in a folded group of the log, and the last annotation of
a full kind says how many. Source: "Workflow commands for GitHub Actions", GitHub's documentation.

Names come from the user's code: in a command they are escaped; around plain lines the runner is told to read no
commands until it sees a word that is the hash of those lines, which none of them can hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from netcheck.findings import Report, Severity
from netcheck.report import concise, suggestion, text
from netcheck.report.isolation import isolated
from netcheck.report.places import in_file, in_repository, place_of
from netcheck.report.selection import Entry, documentation_of, worst_first
from netcheck.report.terminal import Painter, shorten

MOST = 10  # annotations of one kind that the platform shows for a step
LONGEST = 4000  # characters of one message: the platform refuses annotations of more than 64 KiB
KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


@isolated
def render(reports: Sequence[Report], *, root: Path | None = None) -> str:
    """The annotations worst first, then what did not fit among them, then what was checked.

    Args:
        reports: one a model.
        root: the directory that relative paths start from; None means the current one. Annotations name files by their
            path in the repository that holds it.
    """
    root = Path.cwd() if root is None else root
    found = worst_first(reports)
    lines, beyond = [], []
    for severity, kind in KINDS.items():
        of_kind = [entry for entry in found if entry.finding.severity is severity]
        shown = len(of_kind) if len(of_kind) <= MOST else MOST - 1
        lines += [annotation(entry, root) for entry in of_kind[:shown]]
        if beyond_this := of_kind[shown:]:
            lines.append(f"::{kind} title=netcheck::{len(beyond_this)} more of this kind: see the log of this step")
            beyond += beyond_this
    rest = [concise.line(*entry, Painter(False), root) for entry in beyond]
    if rest:
        lines += ["::group::Findings beyond the annotations", *as_plain_lines(rest), "::endgroup::"]
    closing = text.closing(reports, Painter(False), root, verbose=False)
    return "\n".join([*lines, *as_plain_lines(closing.splitlines())]) + "\n"


def annotation(entry: Entry, root: Path) -> str:
    """One finding as a workflow command."""
    report, found = entry
    place = place_of(found, report)
    place = place and in_file(place, root)
    file = in_repository(place.file, root) if place else None
    properties: dict[str, str] = {}
    if place and file:
        properties |= {"file": file, "line": str(place.line)}
        if place.end_line is not None and place.end_line != place.line:
            properties["endLine"] = str(place.end_line)  # columns are allowed on a single line alone
        else:
            properties["col"] = str(place.column)
            if place.end_column is not None:
                properties["endColumn"] = str(place.end_column)
    properties["title"] = f"{found.name} ({found.code})"
    parts = [
        f"{shorten(report.model)}: {found.message}",
        found.evidence.text,
        found.help and f"help: {found.help}",
        (said := suggestion.note(found)) and f"fix: {said}",
        suggestion.diff(found, root, context=0),
        f"more: {documentation_of(found.code)}",
    ]
    message = "\n".join(line for part in parts if part for line in text.printable_lines(part))
    listed = ",".join(f"{name}={escape_property(value)}" for name, value in properties.items())
    return f"::{KINDS[found.severity]} {listed}::{escape(shorten(message, LONGEST))}"


def escape(message: str) -> str:
    """A message as the runner takes it: without line ends, and with its escape sign escaped."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(value: str) -> str:
    """A property's value: what ends it is escaped too."""
    return escape(value).replace(":", "%3A").replace(",", "%2C")


def as_plain_lines(lines: Sequence[str]) -> list[str]:
    """Lines between which the runner looks for no commands."""
    word = hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()
    return [f"::stop-commands::{word}", *lines, f"::{word}::"]
