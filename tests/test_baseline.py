"""Known findings: written down, known again, dropped when they are fixed."""

from __future__ import annotations

import json
import linecache
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from netcheck import engine, worker
from netcheck.cli import cli

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(DEPTH))
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(worker, "check_all", lambda targets, settings, **_: [engine.check_target(t, settings) for t in targets])
    (tmp_path / "pyproject.toml").write_text('[tool.netcheck]\nbaseline = "known.json"\nprobe = false\n')
    write(16)
    return tmp_path


def write(depth: int, before: str = "", after: str = "") -> None:
    """The model's file."""
    Path("net.py").write_text(before + NET.replace("DEPTH", str(depth)) + after)


def run(*arguments: str, **options: Any) -> Result:
    import sys

    linecache.clearcache()
    here = str(Path("net.py").resolve())
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == here]:
        del sys.modules[name]  # the next run meets another text
    return CliRunner().invoke(cli, [*arguments, "--no-color"], prog_name="netcheck", **options)


def rules() -> list[str]:
    return [entry["rule"] for entry in json.loads(Path("known.json").read_text())["findings"]]


def test_known_findings_are_left_out_wherever_their_lines_go(project: Path) -> None:
    assert run("net.py").exit_code == 2  # the baseline of the settings is not there yet
    done = run("net.py", "--write-baseline")
    assert (done.exit_code, done.output) == (0, f"Wrote 4 findings into {project / 'known.json'}.\n")
    assert rules() == ["NC101", "NC301", "NC401", "NC501"]
    again = run("net.py")
    assert again.exit_code == 0
    assert "Left out 4 findings that the baseline knows." in again.output
    os.makedirs("moved/elsewhere")  # this process has read the lines of the file where it is
    for name in ("pyproject.toml", "known.json"):
        Path("moved", name).write_text(Path(name).read_text())
    os.chdir("moved")
    write(16, before="# a comment\n\n\n")
    assert run("net.py").exit_code == 0
    os.chdir("elsewhere")
    assert run("../net.py").exit_code == 0
    assert run("../net.py", "--baseline", "../known.json", "--isolated", "--no-probe").exit_code == 0
    assert run("../net.py", "--isolated", "--no-probe").exit_code == 1


def test_new_and_worse_findings_are_not(project: Path) -> None:
    run("net.py", "--write-baseline")
    twice = "\n\nclass Other(Net):\n    def __init__(self):\n        super().__init__()\n"
    twice += "        self.more = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))\n\n"
    twice += "    def forward(self, x):\n        return self.more(super().forward(x))\n"
    write(16, after=twice)
    shown = run("net.py")
    assert shown.exit_code == 1
    assert "NC103" in shown.output
    write(16)
    text = Path("known.json").read_text()
    Path("known.json").write_text(text.replace('"warning"', '"info"'))
    assert run("net.py").exit_code == 1


def test_what_is_fixed_leaves_the_file_but_not_in_ci(project: Path) -> None:
    run("net.py", "--write-baseline")
    before = Path("known.json").read_text()
    os.chmod("known.json", 0o640)
    # The same line of text in another place: the depth is not in it.
    Path("net.py").write_text(NET.replace("DEPTH", "2"))
    for number, environment in enumerate(({"CI": "true"}, {"CI": "1"}, {"CI": "false"})):
        assert run("net.py", env=environment).exit_code == 0
        assert (Path("known.json").read_text() == before) is (number < 2)
    assert rules() == []
    assert stat.S_IMODE(os.stat("known.json").st_mode) == 0o640


def test_what_was_not_looked_for_stays(project: Path) -> None:
    run("net.py", "--write-baseline")
    before = Path("known.json").read_text()
    Path("net.py").write_text(NET.replace("DEPTH", "2"))
    Path("other.py").write_text("from torch import nn\nmodel = nn.Sequential(nn.Linear(3, 3), nn.ReLU())\n")
    for arguments in (["other.py"], ["net.py", "--select", "NC2"], ["net.py", "--ignore", "NC5,NC4,NC3,NC1"]):
        run(*arguments)
        assert Path("known.json").read_text() == before
    Path("net.py").write_text("import (\n" + NET.replace("DEPTH", "2"))
    run("net.py")
    assert Path("known.json").read_text() == before
    Path("net.py").unlink()
    run("other.py")
    assert rules() == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "known.json is no baseline: "),
        ("[]", "is no baseline of this version"),
        ('{"netcheck-baseline": 2, "findings": []}', "is no baseline of this version"),
        ('{"netcheck-baseline": 1}', "is damaged: --write-baseline writes it anew"),
        ('{"netcheck-baseline": 1, "findings": [{"rule": "NC501"}]}', "is damaged"),
        ('{"netcheck-baseline": 1, "findings": [{"rule": 1, "name": "", "line": "", "severity": "", "target": ""}]}', "is dam"),
        ("\xff", "is no baseline"),
    ],
)
def test_a_file_that_is_no_baseline_is_one_sentence(project: Path, content: str, sentence: str) -> None:
    Path("known.json").write_bytes(content.encode("latin-1"))
    done = run("net.py")
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_contradicts_itself_and_what_cannot_be_written(project: Path) -> None:
    assert "contradict" in run("net.py", "--write-baseline", "--add-ignores").stderr
    done = run("net.py", "--write-baseline", "--baseline", "no/such/folder/x.json")
    assert done.exit_code == 2
    assert "cannot write the baseline" in done.stderr
