"""Whose code asks for something, told from the stack. Imports no torch.

open("log.txt", "w")  <- pathlib  <- net.py           the user's file
os.mkdir(...)         <- matplotlib  <- net.py        a library that it uses
subprocess.Popen(...) <- torch._inductor  <- net.py   what torch needs to compile
os.fork()             <- multiprocessing  <- netcheck netcheck's own processes
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType

from netcheck.load.fence.state import note, state
from netcheck.load.raised import OWN, is_installed

PYTHON = tuple(os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib"))
PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
FENCE = os.path.dirname(os.path.realpath(__file__)) + os.sep
# What compiles for torch, and what Python itself asks the machine: none of it is the user's work.
MACHINERY = (
    *(f"{os.sep}torch{os.sep}{part}" for part in ("_inductor", "_dynamo", "_functorch", "utils/cpp_extension", "utils/_triton")),
    f"{os.sep}triton{os.sep}",
    f"{os.sep}torch{os.sep}cuda{os.sep}__init__.py",
)
QUESTIONS = ("platform.py", "uuid.py", f"ctypes{os.sep}util.py", f"multiprocessing{os.sep}resource_tracker.py")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and the line of the user's code that had it ask.

    Attributes:
        kind: "user", "library", "torch", "netcheck" or "machinery".
        package: the library's name as it is imported.
        file: the nearest file of the user's, "" if none is on the stack.
        line: the line in it.
    """

    kind: str
    package: str
    file: str
    line: int

    @property
    def is_trusted(self) -> bool:
        """Whether what it does is not the user's work."""
        return self.kind == "machinery" or (self.kind == "netcheck" and not state.building)

    def note(self, reason: str, *, trains: bool = False) -> None:
        """Note the line with what it would have done."""
        state.met += 1
        note(self.file, self.line, reason, trains=trains)


def asker() -> Asker:
    """Who asks for what is going on: the first on the stack that is neither Python's own nor this fence."""
    frame: FrameType | None = sys._getframe(1)
    kind = package = ""
    while frame is not None:
        file = frame.f_code.co_filename
        found = kind_of(file)
        if found == "user":
            return Asker(kind or "user", package, file, frame.f_lineno)
        if found == "machinery" and kind in ("", "torch"):
            return Asker(found, "", "", 0)
        if found in ("library", "netcheck", "torch") and kind in ("", "torch"):
            kind, package = found, package_of(file)
        if found == "netcheck":  # above it stands whoever called netcheck
            break
        frame = frame.f_back
    return Asker(kind or "user", package, "", 0)


def in_own_thread() -> bool:
    """Whether this runs in a thread that user code has started, which goes on when the file has been imported."""
    frame: FrameType | None = sys._getframe(1)
    lowest, last = "", None
    while frame is not None:
        lowest, last = kind_of(frame.f_code.co_filename) or lowest, frame
        frame = frame.f_back
    started = last is not None and last.f_code.co_filename == threading.__file__
    return started and lowest in ("user", "library")


@lru_cache(maxsize=8192)
def kind_of(file: str) -> str:
    """What a file on the stack belongs to; "" for what does not count: Python's own, and the fence."""
    if file.startswith("<"):
        return "" if file.startswith("<frozen") else "generated"
    real = os.path.realpath(file)
    if real.startswith(FENCE):
        return ""
    if real.startswith(OWN):
        return "netcheck"
    if any(part in real for part in PACKAGES):
        if any(part in real for part in MACHINERY):
            return "machinery"
        return "torch" if package_of(file) == "torch" else "library"
    if real.startswith(PYTHON):
        return "machinery" if real.endswith(QUESTIONS) else ""
    return "library" if is_installed(file) else "user"


@lru_cache(maxsize=8192)
def package_of(file: str) -> str:
    """The top package of an installed file: "matplotlib"."""
    for part in PACKAGES:
        if part in file:
            return file.rpartition(part)[2].split(os.sep)[0].removesuffix(".py")
    return ""
