"""What a worker's child calls in the tests instead of the engine: the target's name says what happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from netcheck.errors import UsageError
from netcheck.findings import Report
from netcheck.settings import Settings


@dataclass(frozen=True)
class FakeTarget:
    """What the worker needs to know of a target."""

    file: str
    symbol: str = "Net"

    @property
    def name(self) -> str:
        return f"{self.file}:{self.symbol}"


def check(target: FakeTarget, settings: Settings) -> Report:
    """A report whose model is this process's id, or whatever the target's file asks for."""
    what = Path(target.file).name
    if what == "hang":
        time.sleep(60)
    if what == "hang-with-child":
        subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=False)
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os._exit(3)
    if what == "bug":
        raise ZeroDivisionError("a defect of netcheck")
    if what == "usage":
        raise UsageError("this makes no sense")
    if what == "print":
        print("the user's code prints")
        os.write(1, b"straight to the descriptor\n")
    if what == "input":
        return Report(model=repr(sys.stdin.read()), target=target.name)
    if what == "graph":
        return Report(model="Net", target=target.name, graph=lambda: None)  # type: ignore[arg-type]
    return Report(model=str(os.getpid()), target=target.name)
