"""Progress on a terminal, and nowhere else."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netcheck.report.progress import CLEAR, ProgressLine, watches

ROOT = Path(__file__).parent.parent.parent


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_who_watches() -> None:
    assert watches(Terminal(), {"TERM": "xterm"})
    assert not watches(Terminal(), {"TERM": "dumb"})
    assert not watches(io.StringIO(), {})


def test_each_event_overwrites_the_last_and_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    with ProgressLine(stream) as line:
        line("net.py:Net", "load", 1, 2)
        line("net.py:Net", "load", 1, 2)
        line("evil\x1b[2J\n" + "日本" * 100, "trace", 2, 2)
    _, first, second, last = stream.getvalue().split(CLEAR)
    assert first == "[1/2] net.py:Net: load"
    assert "\x1b" not in second
    assert "\n" not in second
    assert len(second) + len(re.findall("[日本]", second)) < 60
    assert second.endswith(": trace")
    assert last == ""


def test_nothing_is_written_where_nothing_happens() -> None:
    stream = Terminal()
    with ProgressLine(stream):
        pass
    assert stream.getvalue() == ""


def test_a_stream_that_lacks_signs() -> None:
    stream = Terminal()
    stream.encoding = "ascii"  # type: ignore[misc]
    with ProgressLine(stream) as line:
        line("日.py:Net", "load", 1, 1)
    assert "[1/1] ?.py:Net: load" in stream.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_the_command_shows_it_on_a_terminal_and_not_in_a_pipe(tmp_path: Path) -> None:
    import pty

    (tmp_path / "net.py").write_text("from torch import nn\n\nmodel = nn.Sequential(nn.Linear(3, 2))\n")
    command = [sys.executable, "-m", "netcheck", "--isolated", "--no-probe", "net.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    master, slave = pty.openpty()
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=slave, check=False, text=True)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # Linux says so at the end
        pass
    os.close(master)
    phases = [line.rpartition(": ")[2] for line in shown.decode().split(CLEAR)]
    assert phases == ["", "load", "inputs", "trace", "judge", "done", ""]
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    piped = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, text=True)
    assert piped.stderr == ""
    assert re.sub(r"\d+\.\d+ s", "", piped.stdout) == re.sub(r"\d+\.\d+ s", "", done.stdout)
