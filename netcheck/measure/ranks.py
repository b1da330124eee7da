"""Processes that run one function together, each as one rank: never longer than asked, and none is left behind.

outcomes = run_ranks(step, 4, seconds=60)       step(0) ... step(3) in forked processes
outcomes[1].value                               what it returned, or
outcomes[1].failure                             "raised RuntimeError: ...", "was killed by signal 11", "did not end in 60 s"
outcomes[1].inconclusive                        whether that may as well be the machine's fault as the model's
conclusive(outcomes)                            the same outcomes; or NotJudged, where all that failed is of that kind

A process may be short of time or of memory, may lose the others, or may not be able to start: none of that tells anything
about the model. What forward raises does, and so does a crash in it.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import pickle
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from netcheck.load.fence import Halted, Refused
from netcheck.measure.accelerators import in_use
from netcheck.measure.plan import is_out_of_memory

_LONG = 200  # characters of a message
GRACE_SECONDS = 5.0  # that the others have to notice that one of them is gone
SHORT_OF_MEMORY = "an accelerator has too little memory free"
SHORT_OF_MAIN_MEMORY = "too little memory is free"
LEFT_ALONE = ("connection closed", "connection reset", "broken pipe", "timed out", "timeout")  # what backends say of partners
_SCARCE = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)  # what a machine may have too little of
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if os.name == "posix" else ()
_PR_SET_PDEATHSIG = 1
_CANNOT_TELL = 70  # the exit code of a rank that could not write down how it fared


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rank ended: with a value, or with a failure, as the rest of a sentence about it.

    Attributes:
        inconclusive: whether the failure says nothing about the model: it ran out of time, or lost the others.
    """

    value: Any = None
    failure: str = ""
    inconclusive: bool = False


@dataclass(frozen=True, slots=True)
class NotJudged:
    """Why ranks told nothing about the model."""

    reason: str


def conclusive(outcomes: Sequence[Outcome]) -> list[Outcome] | NotJudged:
    """The outcomes, if every rank has a value, or if one failed in a way that tells something about the model."""
    for outcome in outcomes:
        if isinstance(outcome.value, NotJudged):
            return outcome.value
    failed = [rank for rank, outcome in enumerate(outcomes) if outcome.failure]
    if all(outcomes[rank].inconclusive for rank in failed) and failed:
        # Those that lost another say less than that one itself.
        first = min(failed, key=lambda rank: lost_another(outcomes[rank].failure))
        return NotJudged(f"rank {first} of {len(outcomes)} {outcomes[first].failure}")
    return list(outcomes)


def can_fork() -> bool:
    """Whether processes can be forked that run torch: not where an accelerator is in use, which a child cannot share."""
    return hasattr(os, "fork") and not in_use()


def require_autograd() -> None:
    """Make sure that this process, which was forked, can run backward.

    It cannot where the process that it was forked from has run one beside an accelerator, or on fake tensors that stand for
    one: autograd then has threads, which are not forked along.

    Raises:
        RuntimeError: it cannot.
    """
    try:
        with torch.enable_grad():
            leaf = torch.ones((), requires_grad=True)
            torch.autograd.grad(leaf * 2, leaf)
    except RuntimeError as error:
        raise RuntimeError(
            "this process has run backward beside an accelerator, and none that is forked from it can run it since"
        ) from error


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
        start, kills = time.monotonic(), kills_for_memory()
        try:
            for rank in range(ranks):
                pids[rank] = fork(step, rank, Path(folder))
            endings = wait_for(pids, seconds)
            seconds = time.monotonic() - start
        except OSError as error:  # no more processes, or no memory for one
            return [Outcome(NotJudged(f"processes cannot be started: {first_line(error)}"))] * ranks
        finally:
            for rank in pids:
                end(pids[rank])
        short = kills_for_memory() > kills
        return [outcome(Path(folder) / str(rank), endings.get(rank), seconds, short) for rank in range(ranks)]


def kills_for_memory() -> int:
    """How many processes the system has ended for want of memory; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    return 0


def within_memory(run: Callable[[], Any]) -> Any:
    """What `run` gives; `NotJudged` where it wants more memory than is free."""
    try:
        return run()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return NotJudged(SHORT_OF_MEMORY if isinstance(error, torch.OutOfMemoryError) else SHORT_OF_MAIN_MEMORY)


def lost_another(failure: str) -> bool:
    """Whether a rank failed because it could not reach another, or waited for it in vain."""
    return any(sign in failure.lower() for sign in LEFT_ALONE)


def failed(error: BaseException) -> Outcome:
    """The outcome of a rank that raised."""
    told = f"raised {type(error).__name__}: {first_line(error)}"
    lost = isinstance(error, RuntimeError) and (lost_another(str(error)) or "can't start new thread" in str(error))
    lost = lost or (dist.is_available() and isinstance(error, dist.DistError))
    scarce = isinstance(error, OSError) and error.errno in _SCARCE
    return Outcome(failure=told, inconclusive=lost or scarce or isinstance(error, Refused | Halted))


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: none of theirs is needed
        pid = os.fork()
    if pid:
        return pid
    exit_now = os._exit
    try:
        die_with(parent)
        faulthandler.disable()  # it has a descriptor of its own
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as this process lives
        torch.set_num_threads(1)  # the pool of threads was not forked along
        try:
            result = Outcome(step(rank))
        except BaseException as error:
            result = failed(error)
        unfinished = folder / f"{rank}.part"
        unfinished.write_bytes(written(result))
        unfinished.rename(folder / str(rank))
        exit_now(1 if result.failure else 0)
    finally:
        exit_now(_CANNOT_TELL)


def written(result: Outcome) -> bytes:
    """An outcome as bytes; where what it holds cannot be written, one that says so."""
    try:
        return pickle.dumps(result)
    except Exception as error:
        return pickle.dumps(Outcome(NotJudged(f"what a rank gave cannot be sent: {first_line(error)}")))


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


def outcome(file: Path, status: int | None, seconds: float, short: bool) -> Outcome:
    """What a rank left behind; `short` says whether the system was short of memory meanwhile."""
    if file.exists():
        left: Outcome = pickle.loads(file.read_bytes())
        return left
    if status is None:
        return Outcome(failure=f"did not end in {seconds:.0f} s: it waited for the others, or is slow", inconclusive=True)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGKILL and short:
            return Outcome(failure="was ended by the system for want of memory", inconclusive=True)
        told = f"was killed by signal {number} ({signal_name(number)})"
        return Outcome(failure=told, inconclusive=number in _FROM_OUTSIDE)
    code = os.waitstatus_to_exitcode(status)
    return Outcome(failure=f"ended with exit code {code}", inconclusive=code == _CANNOT_TELL)


def signal_name(number: int) -> str:
    """As people know it."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return "unnamed"
