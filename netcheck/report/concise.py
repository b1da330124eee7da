"""One line a finding, for editors, grep and people in a hurry.

model.py:12:46: NC501 error poor-init: the gradient loses 5.0 decades (Net: static gain -5.0 decades, budget +-3)
Checked 1 model, 42 operations: 1 error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netcheck.findings import Finding, Report
from netcheck.report import selection, text
from netcheck.report.isolation import isolated
from netcheck.report.places import place_of
from netcheck.report.terminal import Painter, printable


@isolated
def render(
    reports: Sequence[Report],
    *,
    colour: bool,
    verbose: bool = False,
    quiet: bool = False,
    root: Path | None = None,
) -> str:
    """All findings, a line each, then what was checked; the arguments are those of `text.render`."""
    paint = Painter(colour)
    root = Path.cwd() if root is None else root
    lines = [line(*entry, paint, root) for entry in selection.entries(reports, cleared=verbose)]
    if not quiet:
        lines.append(text.closing(reports, paint, root, verbose=verbose))
    return "\n".join(lines) + "\n" if lines else ""


def line(report: Report, found: Finding, paint: Painter, root: Path) -> str:
    """One finding on one line; where no place is known, the target stands in front."""
    place = place_of(found, report)
    where = text.place_text(place, root) if place else text.display_path(report.target or report.model, root)
    style = found.severity.value if found.counts else "faint"
    label = f"{paint(found.code, style)} {found.severity.value}"
    number = f": {printable(found.evidence.text)}" if found.evidence.text else ""
    message = printable(" ".join(found.message.splitlines()))
    return f"{where}: {label} {found.name}: {message} ({text.name_of(report.model)}{number})"
