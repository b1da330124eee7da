"""The worker process: imports torch once, then forks a child for each target that it is sent.

Where the system cannot fork safely, the worker checks the targets itself, one after the other, and is started
again when one of them ends it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from netcheck import progress
from netcheck.errors import UsageError
from netcheck.findings import LeftOut, Report
from netcheck.load import allocations
from netcheck.source.targets import Target
from netcheck.worker import outcome, processes
from netcheck.worker.frames import Command, receive, send, send_bytes

if TYPE_CHECKING or sys.platform != "win32":
    import resource

Check = Callable[[Target, Any], Report]
OUT_OF_THE_WAY = 700  # our descriptors begin here, where code that closes "all" of 3 to 255 leaves them


@dataclass(frozen=True)
class Pipes:
    """The descriptors that a worker was given."""

    commands: int
    control: int
    results: int
    faults: int


def serve(pipes: Pipes, check_name: str, folder: str, *, forks: bool) -> None:
    """Check what the parent sends until it closes the pipe.

    Args:
        pipes: where to read and write.
        check_name: the function that checks, as "module:function".
        folder: for temporary files of what is imported.
        forks: whether each target has a child of its own.
    """
    scratch[:] = [folder]
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, clean_up)
    processes.die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.disable()  # what is imported is here to stay: looking for garbage in it takes a sixth of the time
    threads = alone()
    check, keep_up = find_check(check_name, folder)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    gc.freeze()  # the million objects of torch need not be looked at, nor copied, in each child
    gc.enable()
    send(pipes.control, ("ready", 0))
    for command in receive(pipes.commands):
        scratch[:] = [folder, command.scratch]
        with elsewhere(folder):
            keep_up()
        pid = os.fork() if forks else os.getpid()
        if not forks or pid == 0:
            with_threads(threads)
        if forks and pid == 0:
            run_child(pipes, command, check)
        send(pipes.control, ("started", pid))
        status = wait(pid) if forks else run_here(pipes, command, check)
        processes.kill_marked(os.environ[processes.MARK], frozenset({os.getpid()}))
        send(pipes.control, ("ended", status))


scratch: list[str] = []  # the folders for temporary files: of what is imported, and of the target that is being checked


def clean_up(*_: object) -> None:
    """End all that this worker started, and itself: its parent died without a word."""
    processes.kill_marked(os.environ[processes.MARK], frozenset({os.getpid()}))
    for folder in scratch:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def find_check(name: str, folder: str) -> tuple[Check, Callable[[], object]]:
    """Import the function that checks, and torch with it, and what its module wants to have before any fork.

    Returns:
        The function, and what its module wants to be called before each fork.
    """
    module, _, function = name.partition(":")
    home = importlib.import_module(module)
    found: Check = getattr(home, function)
    with elsewhere(folder):
        getattr(home, "preload", nothing)()
    return found, getattr(home, "keep_up", nothing)


def nothing() -> None:
    """What a module without a wish of its own wants."""


def alone() -> int:
    """Have torch compute in this thread only, and say how many it would take.

    A fork copies no threads: a process that has started a pool of them leaves its children waiting for it for ever.
    """
    import torch

    threads: int = torch.get_num_threads()
    torch.set_num_threads(1)
    return threads


def with_threads(count: int) -> None:
    """Let torch compute in so many threads."""
    import torch

    torch.set_num_threads(count)


@contextlib.contextmanager
def elsewhere(folder: str) -> Iterator[None]:
    """Have temporary files made in a folder, and forget afterwards that anybody knew it: torch's compiler makes a cache
    there when it is imported, and writes its place into the environment.
    """
    environment, before = dict(os.environ), tempfile.tempdir
    tempfile.tempdir = os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def wait(pid: int) -> int:
    """The exit status of a child."""
    while True:
        try:
            return os.waitpid(pid, 0)[1]
        except InterruptedError:
            continue
        except ChildProcessError:
            return 0


def run_child(pipes: Pipes, command: Command, check: Check) -> None:
    """Check one target in this process and end it; never returns."""
    own = os.getpid()
    exit_now = os._exit  # user code may replace what os holds
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        processes.die_with_parent(signal.SIGKILL)
        os.close(pipes.commands)
        os.close(pipes.control)
        allocations.limit(command.memory)
        data = pickled(checked(pipes, command, check, alone=True))
        if os.getpid() == own:  # else: a process that the file forked, and that came back to us
            send_bytes(pipes.results, data)
        exit_now(0)
    finally:
        exit_now(processes.LOST)


def run_here(pipes: Pipes, command: Command, check: Check) -> int:
    """Check one target in the worker itself."""
    send_bytes(pipes.results, pickled(checked(pipes, command, check, alone=False)))
    return 0


def checked(pipes: Pipes, command: Command, check: Check, *, alone: bool) -> Report:
    """The report on a target, whatever happens; `alone` if this process ends with it."""
    faulthandler.enable(file=pipes.faults, all_threads=True)
    faulthandler.register(signal.SIGUSR1, file=pipes.faults, all_threads=True)
    if os.getcwd() != command.folder:  # a folder that this user may not enter anew is fine to be in
        os.chdir(command.folder)
    tempfile.tempdir = os.environ["TMPDIR"] = command.scratch
    progress.watchers[:] = [lambda name: send(pipes.results, ("phase", name))]
    started = time.perf_counter()
    clock = time.perf_counter
    latest: list[Report] = []  # what was known last
    with fenced(command, alone=alone) as notes:
        progress.keepers[:] = [partial(keep, pipes, command.target, os.getpid(), latest)]
        try:
            report = check(command.target, command.settings)
            report.become_plain()
        except BaseException as error:
            allocations.lift()
            report = outcome.completed(latest, outcome.report_of(command.target, error, clock() - started))
        report.left_out = notes()
    allocations.lift()
    report.target = report.target or command.target.name
    report.seconds = report.seconds or clock() - started
    return report


def keep(pipes: Pipes, target: Target, own: int, latest: list[Report], report: Report) -> None:
    """Send what is known so far: it stands if this process does not get any further."""
    if os.getpid() != own:
        return  # one that the file forked, and that came back to us
    report.target = report.target or target.name
    with contextlib.suppress(Exception):  # it holds more than plain data: the last one says so
        send_bytes(pipes.results, dumps(("known", report)))
        latest[:] = [report]


@contextlib.contextmanager
def fenced(command: Command, *, alone: bool) -> Iterator[Callable[[], list[LeftOut]]]:
    """Close the fence around user code; what this gives tells what was met at it.

    In a process of its own it stays closed: threads of the user's may still run while the report is sent.
    """
    from netcheck.load import fence

    writes = getattr(command.settings, "allow_writes", False)
    if not writes:
        fence.close_for_good(command.scratch, alone=alone)
    with contextlib.ExitStack() as stack:
        stack.enter_context(fence.closed(writes=writes, everybody=True))
        yield fence.notes
        if alone:
            kept.append(stack.pop_all())


kept: list[contextlib.ExitStack] = []  # fences that are never opened


dumps = pickle.dumps


def pickled(report: Report) -> bytes:
    """A report as bytes; where it holds more than plain data, a report that says so."""
    try:
        return dumps(("report", report))
    except Exception as error:
        target = Target("", report.target or report.model)
        return dumps(("report", outcome.report_of(target, error)))


def moved(fd: int) -> int:
    """The same pipe under a high number, not inherited by programs that user code starts."""
    import fcntl

    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY)
    os.close(fd)
    return high


def main(arguments: list[str]) -> None:
    """Entry point of `python -m netcheck.worker`: four descriptors, whether to fork, the check, and a folder."""
    commands, control, results, faults, forks = map(int, arguments[:5])
    pipes = Pipes(*map(moved, (commands, control, results, faults)))
    try:
        serve(pipes, arguments[5], arguments[6], forks=bool(forks))
    except UsageError as error:  # the last line that is printed is what the parent tells
        sys.exit("; ".join(filter(None, (str(error), error.help))))
