"""An argument that is written out, or worked out."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.location import Location
from netcheck.source.written_out import is_worked_out

BEFORE = """
import torch
DEVICE = "cpu"
CHOSEN = "cuda" if torch.cuda.is_available() else "cpu"
class Net:
    def __init__(self, where):
        self.fixed, self.where = "cpu", where
    def forward(self, x, asked="cpu"):
        own = "cuda" if x.is_cuda else "cpu"
        same = DEVICE
"""
SAID = {'"cpu"': False, "DEVICE": False, "same": False, "torch.device('cpu')": False, "torch.device(DEVICE)": False}
WORKED_OUT = {"own": True, "CHOSEN": True, "asked": True, "x.device": True, "str(x.device)": True, "torch.device(own)": True}


@pytest.mark.parametrize(("value", "worked_out"), [*SAID.items(), *WORKED_OUT.items()])
def test_what_is_worked_out_is_no_literal(value: str, worked_out: bool, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    line = f"        return x @ torch.ones(8, 1, device={value})"
    file.write_text(BEFORE + line + "\n")
    number = len(BEFORE.splitlines()) + 1
    column = line.index("torch.ones") + 1
    place = Location(str(file), number, column, number, len(line) + 1, "forward")
    assert is_worked_out(place, "device") is worked_out


def test_what_cannot_be_told_is_not_worked_out(tmp_path: Path) -> None:
    assert not is_worked_out(None, "device")
    assert not is_worked_out(Location(str(tmp_path / "none.py"), 1, 1, 1, 2, ""), "device")
