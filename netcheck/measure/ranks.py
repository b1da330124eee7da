"""Processes that run one function together, each as one rank: never longer than asked, and none is left behind.

outcomes = run_ranks(step, 4, seconds=60)       step(0) ... step(3) in forked processes
outcomes[1].value                               what it returned, or
outcomes[1].failure                             "raised RuntimeError: ...", "was killed by signal 9", "did not end in 60 s"
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from netcheck.measure.accelerators import in_use

_LONG = 200  # characters of a message
GRACE_SECONDS = 5.0  # that the others have to notice that one of them is gone
SHORT_OF_MEMORY = "an accelerator has too little memory free"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rank ended: with a value, or with a failure, as the rest of a sentence about it."""

    value: Any = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Why ranks could not work at all, which says nothing about the model."""

    reason: str


def can_fork() -> bool:
    """Whether processes can be forked that run torch: not where an accelerator is in use, which a child cannot share."""
    return hasattr(os, "fork") and not in_use()


def run_ranks(step: Callable[[int], Any], ranks: int, *, seconds: float) -> list[Outcome]:
    """Run `step(rank)` in a process for each rank; what the step prints is dropped.

    Args:
        step: what a rank does. It sees all that this process has, as a copy, and returns what pickle can write.
        ranks: how many.
        seconds: that all of it may take; what still runs then is killed.
    """
    with tempfile.TemporaryDirectory(prefix="netcheck-ranks-") as folder:
        flush()
        pids = {}
        start = time.monotonic()
        try:
            for rank in range(ranks):
                pids[rank] = fork(step, rank, Path(folder))
            endings = wait_for(pids, seconds)
            seconds = time.monotonic() - start
        finally:
            for rank in pids:
                end(pids[rank])
        return [outcome(Path(folder) / str(rank), endings.get(rank), seconds) for rank in range(ranks)]


def within_memory(run: Callable[[], Any]) -> Any:
    """What `run` gives; `NotStarted` where it wants more memory than an accelerator has free."""
    try:
        return run()
    except torch.OutOfMemoryError:
        return NotStarted(SHORT_OF_MEMORY)


def first_line(error: BaseException) -> str:
    """What an exception says in its first line; of a long one the first sentence."""
    line = next(iter(str(error).splitlines()), "")
    return line if len(line) <= _LONG else line.split(". ")[0]


def flush() -> None:
    """Write out what is buffered, which a child would otherwise write again."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def fork(step: Callable[[int], Any], rank: int, folder: Path) -> int:
    """Start one rank; returns its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    exit_now = os._exit
    try:
        die_with(parent)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as this process lives
        torch.set_num_threads(1)  # the pool of threads was not forked along
        try:
            result: Any = ("value", step(rank))
        except BaseException as error:
            result = ("failure", f"raised {type(error).__name__}: {first_line(error)}")
        unfinished = folder / f"{rank}.part"
        unfinished.write_bytes(pickle.dumps(result))
        unfinished.rename(folder / str(rank))
        exit_now(0 if result[0] == "value" else 1)
    finally:
        exit_now(1)


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent ends."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)


def wait_for(pids: dict[int, int], seconds: float) -> dict[int, int]:
    """The exit status of each rank that ends in time; soon after one has died, the others count as waiting for it."""
    endings: dict[int, int] = {}
    deadline = time.monotonic() + seconds
    while len(endings) < len(pids) and time.monotonic() < deadline:
        for rank in pids.keys() - endings.keys():
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(pids[rank], os.WNOHANG)
                if pid:
                    endings[rank] = status
                    pids[rank] = 0
                    if status:
                        deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        time.sleep(0.005)
    return endings


def end(pid: int) -> None:
    """Kill a process that has not been waited for."""
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def outcome(file: Path, status: int | None, seconds: float) -> Outcome:
    """What a rank left behind."""
    if file.exists():
        kind, value = pickle.loads(file.read_bytes())
        return Outcome(value) if kind == "value" else Outcome(failure=value)
    if status is None:
        return Outcome(failure=f"did not end in {seconds:.0f} s: it waited for the others, or is slow")
    if os.WIFSIGNALED(status):
        return Outcome(failure=f"was killed by signal {os.WTERMSIG(status)} ({signal.Signals(os.WTERMSIG(status)).name})")
    return Outcome(failure=f"ended with exit code {os.waitstatus_to_exitcode(status)}")
