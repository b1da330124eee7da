"""Processes as the system sees them: their memory, what they leave behind, and how they end. Linux knows all
of it.

Every process that a worker starts, at any remove, carries a mark in its environment. So all of them can be
found, also one that detached itself from its parent, its session and its terminal, and no other process is
ever touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import sysconfig
import time
from collections.abc import Iterator

import netcheck

LINUX = sys.platform.startswith("linux")
MARK = "NETCHECK_WORKER"
LOST = 70  # the exit code of a child that could not send its report
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def checkout() -> str:
    """The folder of a netcheck that is not among the installed packages, "" for one that is."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(netcheck.__file__ or __file__)))
    return "" if root in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")) else root


def die_with_parent(number: int) -> None:
    """Have the system send this process a signal when its parent dies."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent dies."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def resident(pid: int) -> int:
    """The bytes of memory that a process keeps in use, without the files that it maps;
    0 if that is not known.
    """
    total = 0
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(("RssAnon:", "RssShmem:")):
                    total += int(line.split()[1]) * 1024
    except OSError:
        return 0
    return total


def marked(mark: str) -> Iterator[int]:
    """The living processes that carry a mark."""
    if not LINUX:
        return
    wanted = f"{MARK}={mark}".encode()
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read()
        except OSError:  # it ended, or is another user's
            continue
        if wanted in environment.split(b"\0"):
            yield int(name)


def kill(pid: int) -> None:
    """Kill a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill the process group that a process leads, and the process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    kill(pid)


def kill_marked(mark: str, spared: frozenset[int] = frozenset(), patience: float = 5.0) -> int:
    """Kill every process that carries a mark, also those started meanwhile; reap those that are our children.

    Args:
        mark: the mark.
        spared: processes to leave alone.
        patience: seconds after which to give up on what will not die.

    Returns:
        How many were killed.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + patience
    while True:
        living = [pid for pid in marked(mark) if pid not in spared]
        for pid in living:
            kill(pid)
        killed.update(living)
        reap()
        if not living or time.monotonic() > deadline:
            return len(killed)
        time.sleep(0.002)


def reap() -> None:
    """Collect the children that ended, so that none stays a zombie. For a process that waits for no other."""
    if os.environ.get(MARK) is None:
        return  # not a worker: somebody else may wait for these children
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def describe_status(status: int) -> str:
    """How a process ended, in words that follow "the process"."""
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == LOST:
        return "closed its descriptors or broke its own Python, so that no report could be sent"
    if os.WIFSIGNALED(status):
        return describe_signal(os.WTERMSIG(status))
    return f"ended itself with exit code {os.waitstatus_to_exitcode(status)} before its report"


def describe_signal(number: int) -> str:
    """How a process died of a signal."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    causes = {
        "SIGSEGV": "it touched memory that is not its own",
        "SIGABRT": "it called abort",
        "SIGKILL": "something killed it; if it was the system, memory ran out",
        "SIGBUS": "it touched memory that is not there",
        "SIGFPE": "an arithmetic error in compiled code",
        "SIGILL": "an instruction that this processor does not have",
    }
    return f"died of {name}" + (f" ({causes[name]})" if name in causes else "")
