"""`netcheck init`: how models are built is written into pyproject.toml, and holds from then on."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests import warm

NETS = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width, classes, norm=None):
        super().__init__()
        self.layer, self.head = nn.Linear(width, width), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.layer(x).relu())


class Wrapped(nn.Module):
    def __init__(self, encoder: nn.Linear, width):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.encoder(x))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "nets.py").write_text(NETS)
    (tmp_path / "train.py").write_text("from src.nets import Net, Wrapped\nfrom torch import nn\nNet(12, CLASSES)\n")
    (tmp_path / "pyproject.toml").write_text('[tool.netcheck]\nfail-on = "error"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return warm.invoke(*arguments, folder=Path.cwd())


def models(*arguments: str) -> dict[str, dict[str, Any]]:
    said = run("check", "--no-probe", "--format", "json", *arguments)
    return {model["target"]: model for model in json.loads(said.stdout)["models"]}


def test_what_was_assumed_is_written_and_can_be_corrected(project: Path) -> None:
    before = models("src")["src/nets.py:Net"]
    assert before["construction"]["call"] == "Net(width=12, classes=10)"
    assert before["construction"]["place"] == "train.py:3"
    assert before["construction"]["assumptions"] == [{"kind": "argument", "name": "classes", "value": "10"}]
    said = run("init", "src")
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("Wrote 1 model into pyproject.toml.\nsrc/nets.py:Wrapped was built as Wrapped(encoder=")
    text = (project / "pyproject.toml").read_text()
    assert "# as train.py:3 does; classes assumed\n" in text
    table = tomllib.loads(text)["tool"]["netcheck"]
    assert table == {
        "fail-on": "error",
        "model": [{"target": "src/nets.py:Net", "kwargs": {"width": 12, "classes": 10}}],
    }
    (project / "pyproject.toml").write_text(text.replace("width = 12", "width = 5"))
    after = models("src")["src/nets.py:Net"]
    assert after["construction"] is None
    assert after["summary"]["parameters"] == 5 * 5 + 5 + 5 * 10 + 10


def test_a_second_time_nothing_is_written(project: Path) -> None:
    run("init", "src")
    text = (project / "pyproject.toml").read_text()
    assert run("init", "src").stdout.startswith("Wrote 0 models into pyproject.toml.\n")
    assert (project / "pyproject.toml").read_text() == text


def test_where_no_file_is_one_is_made(project: Path) -> None:
    os.unlink("pyproject.toml")
    assert run("init").exit_code == 0
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["netcheck"]["model"][0]["target"] == "src/nets.py:Net"


def test_a_file_that_cannot_have_entries_is_left_alone(project: Path) -> None:
    (project / "pyproject.toml").write_text("tool = { netcheck = { jobs = 1 } }\n")
    said = run("init", "src")
    assert said.exit_code == 2
    assert said.stderr.startswith("netcheck: cannot add [[tool.netcheck.model]] to")
    assert (project / "pyproject.toml").read_text() == "tool = { netcheck = { jobs = 1 } }\n"
