"""Systems that lack what the worker uses on Linux: it does without, or checks in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netcheck.source.targets import Target
from netcheck.worker import pool, processes

ROOT = Path(__file__).parent.parent.parent


def test_every_module_is_imported_without_what_only_posix_has() -> None:
    program = (
        "import sys, os, signal\n"
        "for name in ('resource', 'fcntl', 'termios', 'pwd'):\n    sys.modules[name] = None\n"
        "import click, selectors, subprocess, ctypes, tempfile, shutil, inspect, tomllib, sysconfig\n"
        "sysconfig.get_config_vars()\n"
        "sys.platform = 'win32'\n"
        "for name in ('SIGUSR1', 'SIGKILL'):\n    delattr(signal, name)\n"
        "for name in ('fork', 'setsid', 'killpg', 'set_blocking', 'waitpid'):\n    delattr(os, name)\n"
        "import netcheck.cli, netcheck.worker, netcheck.worker.serve, netcheck.worker.child, netcheck.engine\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_where_nothing_can_be_isolated_targets_are_checked_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ISOLATES", False)
    good, bad, gone = (tmp_path / name for name in ("good.py", "bad.py", "gone.py"))
    good.write_text("from torch import nn\nmodel = nn.Linear(4, 2)\n")
    bad.write_text("raise SystemExit(3)\n")
    targets = [Target(str(file), "model") for file in (good, bad, gone)]
    events = []
    reports = list(pool.check_all(targets, "s", check="tests.worker.support:check", progress=lambda e: events.append(e)))
    assert [[found.code for found in report] for report in reports] == [["NC999"], ["NC001"], ["NC001"]]
    assert [(event.number, event.phase) for event in events] == [
        (number, phase) for number in (1, 2, 3) for phase in ("load", "done")
    ]


def test_a_worker_without_prctl_and_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LINUX", False)
    processes.die_with_parent(9)
    processes.adopt_orphans()
    assert list(processes.marked("x")) == []
    assert processes.kill_marked("x") == 0
    assert processes.resident(2**30) == 0
