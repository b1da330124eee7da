"""The prepared run on an accelerator, on the CPU: it ends in time whatever a section does, and the sections run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu import measure
from tests.gpu.budgets import BUDGETS
from tests.gpu.sections import SECTIONS

SCRIPT = """
import os, sys, time
name, file = sys.argv[sys.argv.index("--section") + 1], sys.argv[sys.argv.index("--figures") + 1]
open(file, "w").write('{"figure": "of %s"}' % name)
if name == "raises":
    print("a long story\\n" * 3 + "ValueError: no", file=sys.stderr)
    sys.exit(1)
if name == "hangs":
    os.fork()
    open(os.environ["STARTED"], "a").write("%d\\n" % os.getpid())
    time.sleep(10_000)
if name == "dies":
    os.abort()
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the place of the sections."""
    monkeypatch.setenv("STARTED", str(tmp_path / "started"))
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    return file


def test_a_failure_stops_nothing_and_the_first_is_told_in_full(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "START_SECONDS", 0.0)
    budgets = {"first": 500.0, "raises": 500.0, "dies": 500.0, "hangs": 15.0, "last": 500.0}
    out = tmp_path / "figures.json"
    assert not measure.measure(budgets, "cpu", out, script, most=5000.0)
    found = json.loads(out.read_text())
    assert found["device"] == "cpu"
    sections = found["sections"]
    assert list(sections) == list(budgets)
    assert {name: section["figures"] for name, section in sections.items()} == {
        name: {"figure": f"of {name}"} for name in budgets
    }
    endings = [section["failure"].rpartition("\n")[2] for section in sections.values()]
    assert endings == ["", "exit code 1", "exit code -6", "did not end in 15 s", ""]
    said = capsys.readouterr().out
    assert said.count("a long story") == 3
    assert said.startswith("== first: ok")
    started = (tmp_path / "started").read_text().split()
    assert len(started) == 2
    assert not any(is_running(int(pid)) for pid in started)


def is_running(pid: int) -> bool:
    """Whether a process lives."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_figures_are_written_after_each_section(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[str]] = []
    monkeypatch.setattr(measure, "write", lambda out, found: written.append(list(found["sections"])))
    assert measure.measure({"first": 500.0, "last": 500.0}, "cpu", tmp_path / "figures.json", script, most=5000.0)
    assert written == [["first"], ["first", "last"]]


def test_what_there_is_no_time_for_is_said(script: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    assert not measure.measure({"first": 500.0}, "cpu", out, script, most=0.0)
    assert json.loads(out.read_text())["sections"]["first"]["failure"] == "no time was left for it"


def test_all_of_it_takes_six_minutes_at_the_most() -> None:
    assert list(BUDGETS) == list(SECTIONS)
    assert sum(BUDGETS.values()) <= measure.MOST_SECONDS == 360.0


def test_the_script_says_how_it_is_called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["measure.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        measure.main()
    assert "--out" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["two layers", "devices", "out of memory", "too large", "driver"])
def test_a_section_runs_on_a_stand_in(name: str) -> None:
    figures: dict[str, Any] = {}
    SECTIONS[name].run(figures, "cpu")
    assert figures
    assert json.dumps(figures)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tests", "memory", "kinds of models", "gains"])
def test_a_long_section_runs_on_a_stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: dict[str, Any] = {}
    SECTIONS[name].run(figures, "cpu")
    assert figures
    if name == "gains":
        assert all(off == 0 for _, _, off in figures.values())
        assert len(figures) == 20


def test_a_section_is_run_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    found = measure.in_process("too large", "cpu", 500.0, Path(measure.__file__))
    assert found["failure"] == ""
    assert found["figures"]["said"] == ["Sequential does not fit into the memory of cpu"]
    assert not file.exists()
    assert os.getcwd() != str(file)
