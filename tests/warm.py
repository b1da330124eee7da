"""Checks in a worker that stays from one test to the next: torch is imported once for all of them, not once for each."""

from __future__ import annotations

import atexit
import os
import shlex
from contextlib import chdir
from pathlib import Path
from subprocess import CompletedProcess

from click.testing import CliRunner, Result

from netcheck.cli import cli
from netcheck.findings import Report
from netcheck.settings import Settings
from netcheck.worker.child import Worker
from netcheck.worker.pool import keeping
from netcheck.worker.warm import Warm
from tests.readme import ROOT, run

KEPT = "NETCHECK_TESTS_KEPT"  # in the environment of the worker: it is no stray

_WARM = Warm()
atexit.register(_WARM.stop)


def worker() -> Worker:
    """The worker, started if it is not running."""
    os.environ[KEPT] = "yes"
    try:
        _WARM.wake()
    finally:
        del os.environ[KEPT]
    assert _WARM.worker is not None
    return _WARM.worker


def check(settings: Settings) -> list[Report]:
    """The reports on the targets of the settings."""
    worker()
    return _WARM.check(settings)


def invoke(*arguments: str, folder: Path = ROOT) -> Result:
    """What `netcheck *arguments` prints and ends with, run in `folder` by this process and the worker that stays."""
    with chdir(folder), keeping(worker()):
        done = CliRunner().invoke(cli, arguments, prog_name="netcheck", env={"NO_COLOR": "1"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def command(*arguments: str, folder: Path = ROOT) -> CompletedProcess[str]:
    """The same, as a process of its own would give it."""
    done = invoke(*arguments, folder=folder)
    return CompletedProcess(arguments, done.exit_code, done.stdout_bytes.decode(), done.stderr_bytes.decode())


def line(text: str) -> CompletedProcess[str]:
    """Run a command of README, netcheck's own in the worker that stays."""
    program, *arguments = shlex.split(text, comments=True)
    return command(*arguments) if program.removeprefix(".venv/bin/") == "netcheck" else run(text)
