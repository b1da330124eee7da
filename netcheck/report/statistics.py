"""How often each rule found something, instead of each finding.

findings    models    severity    code    rule
----------  --------  ----------  ------  ---------
12          3         warning     NC501   poor-init
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netcheck.findings import Report
from netcheck.report import selection, text
from netcheck.report.columns import in_columns
from netcheck.report.isolation import isolated
from netcheck.report.terminal import Painter


@isolated
def render(
    reports: Sequence[Report],
    *,
    colour: bool,
    verbose: bool = False,
    quiet: bool = False,
    root: Path | None = None,
) -> str:
    """A row for each rule and severity, then what was checked; the arguments are those of `text.render`."""
    paint = Painter(colour)
    rows = [
        (one.findings, one.models, paint(one.severity.value, one.severity.value), one.code, one.name)
        for one in selection.statistics(reports)
    ]
    headers = ("findings", "models", "severity", "code", "rule")
    blocks = [in_columns(rows, headers, right=headers[:2])] if rows else []
    if not quiet:
        blocks.append(text.closing(reports, paint, Path.cwd() if root is None else root, verbose=verbose))
    return "\n\n".join(blocks) + "\n" if blocks else ""
