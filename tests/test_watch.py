"""Watching: a file that is saved is checked again, in a worker that stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netcheck.settings import Settings
from netcheck.source.saved import stamps
from netcheck.worker.warm import Warm
from tests.readme import ROOT

if sys.platform == "win32":
    pytest.skip("signals are sent to the process", allow_module_level=True)

SOUND = """
import torch
from torch import nn
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
"""
FAULTY = SOUND.replace("nn.ReLU(), ", "")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    made = Warm()
    yield made
    made.stop()


def settings(file: Path) -> Settings:
    return Settings(targets=(str(file),), probe=False)


def test_a_worker_stays_and_sees_what_changed(warm: Warm, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(SOUND)
    (first,) = warm.check(settings(file))
    assert warm.worker is not None
    assert warm.worker.process is not None
    pid = warm.worker.process.pid
    file.write_text(FAULTY)
    (second,) = warm.check(settings(file))
    assert warm.worker.process.pid == pid
    assert [found.code for found in first] == []
    assert [found.code for found in second] == ["NC103"]


def test_a_worker_that_died_is_started_anew(warm: Warm, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(SOUND)
    warm.wake()
    assert warm.worker is not None
    assert warm.worker.process is not None
    warm.worker.process.kill()
    warm.worker.process.wait()
    (report,) = warm.check(settings(file))
    assert report.ok
    assert report.summary is not None


def test_what_is_watched(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.py").write_text("")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "env" / "x.py").write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "config.yaml").write_text("")
    names = {os.path.relpath(file, tmp_path) for file in stamps([f"{tmp_path / 'net.py'}:Net"])}
    assert names == {"net.py", os.path.join("sub", "config.yaml")}
    before = stamps([str(tmp_path)])
    (tmp_path / "net.py").write_text("x = 1")
    assert stamps([str(tmp_path)]) != before


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What is printed up to a line that matches."""
    assert process.stdout is not None
    text = ""
    while not re.search(pattern, text):
        line = process.stdout.readline()
        assert line, text
        text += line
    return text


def test_a_saved_file_is_answered_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(SOUND)
    command = [sys.executable, "-u", "-m", "netcheck", "--watch", "--no-probe", "--no-cache", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert "no findings" in read_until(process, "waiting for a file")
        time.sleep(0.05)
        file.write_text(FAULTY)
        answer = read_until(process, "waiting for a file")
        assert "NC103" in answer
        file.unlink()
        file.write_text(SOUND)
        while "no findings" not in read_until(process, "waiting for a file"):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
