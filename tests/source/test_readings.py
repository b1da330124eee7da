"""Where a function reads a parameter only on some of its ways."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from netcheck.source.locate import Definition
from netcheck.source.readings import readings

SOMETIMES = {
    "in a branch": "if self.deep:\n    x = self.cell(x, mask)",
    "in the other": "if self.flat:\n    pass\nelse:\n    x = x * mask",
    "behind a return": "if self.flat:\n    return x\nx = x + self.cell(mask)",
    "in a loop": "for layer in self.layers:\n    x = layer(x, mask)",
    "where it is there": "if mask is not None:\n    x = x.masked_fill(mask, 0)",
    "behind a context": "with torch.no_grad():\n    if self.deep:\n        x = x[mask]",
}
ALWAYS = {
    "at once": "x = x * mask",
    "once in a branch, and once not": "if self.deep:\n    x = x * mask\nx = x[mask]",
    "nowhere": "x = x + 1",
    "handed on": "other = mask",
    "in a context": "with torch.no_grad():\n    x = x[mask]",
}


def found(body: str, folder: Path) -> list[tuple[int, set[str]]] | None:
    """The lines of the body that may not run, and what they name."""
    file = folder / "net.py"
    file.write_text("def forward(self, x, mask):\n" + textwrap.indent(body, "    ") + "\n    return x\n")
    known = readings(Definition(str(file), "forward", 1), "mask")
    return None if known is None else [(one.place.line - 1, set(one.members)) for one in known]


@pytest.mark.parametrize("body", SOMETIMES.values(), ids=SOMETIMES)
def test_what_may_not_run(body: str, tmp_path: Path) -> None:
    known = found(body, tmp_path)
    assert known is not None
    ((line, members),) = known
    text = body.splitlines()[line - 1]
    assert "mask" in text
    assert ("cell" in members) == ("cell" in text)


@pytest.mark.parametrize("body", ALWAYS.values(), ids=ALWAYS)
def test_what_runs_on_every_way(body: str, tmp_path: Path) -> None:
    assert found(body, tmp_path) is None
