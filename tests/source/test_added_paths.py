"""Folders that a file adds to the path of imports lead to the classes that it builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcheck.source.added_paths import added_paths
from netcheck.source.construction.ways import ways
from netcheck.source.scopes import index

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, widths):
        super().__init__()
        first, (second, third) = widths
        self.layers = nn.Sequential(nn.Linear(first, second), nn.Linear(second, third))

    def forward(self, x):
        return self.layers(x)
"""


@pytest.mark.parametrize(
    "added",
    [
        'sys.path.append("../lib")',
        'sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))',
        'sys.path.append(str(Path(__file__).resolve().parent.parent / "lib"))',
        'sys.path.append(os.path.abspath(os.path.join(os.getcwd(), os.pardir, "lib")))',
        'sys.path.insert(0, str(Path(__file__).parents[1] / "lib"))',
    ],
)
def test_a_script_that_imports_from_a_folder_that_it_adds(tmp_path: Path, added: str) -> None:
    (tmp_path / "setup.cfg").touch()
    for folder in ("lib/models", "runs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lib/models/__init__.py").write_text("from .net import Net\n")
    net = tmp_path / "lib/models/net.py"
    net.write_text(NET)
    script = tmp_path / "runs/train.py"
    script.write_text(f"import os, sys\nfrom pathlib import Path\n{added}\nfrom models import Net\nnet = Net([4, [8, 2]])\n")
    found = index(str(script))
    assert found is not None
    assert added_paths(found) == (str(tmp_path / "lib"),)
    (way,) = ways(str(net), "Net")
    assert way.args == ([4, [8, 2]],)


def test_what_is_worked_out_is_not_followed(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import sys\nsys.path.append(sys.argv[1])\nsys.path.append(f'{root}/lib')\nsys.path.append('nowhere')\n")
    found = index(str(script))
    assert found is not None
    assert added_paths(found) == ()
