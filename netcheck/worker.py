"""Runs the engine in child processes, because it runs the user's code: that may hang, crash or print.

    check_targets(settings)
      +-- run                          one thread a group of targets, `jobs` at a time
            +-- check_group                  targets in one directory share a child and its import of torch
            +-- Child.check(target)    pickled request down, pickled reports up, killed when the time is over
                                          serve()  in the child: reads requests, runs the engine, answers

Targets in different directories get different children: `import blocks` means another file in each. What the
user's code prints goes to standard error; standard output holds the report alone.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, repeat
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO

from netcheck import engine
from netcheck.errors import NetcheckError
from netcheck.findings import Report
from netcheck.rules.base import require_known
from netcheck.settings import Settings

if TYPE_CHECKING:
    from netcheck.source.targets import Target

    Request = tuple[Target, Settings]

CHECK = "netcheck.engine:check_target"

# The child gets this process's import path; -P keeps the current directory out of it, where a `random.py` may
# stand.
BOOT = "import sys; sys.path[:] = {path!r}; from netcheck.worker import serve; serve({check!r})"


def check_targets(settings: Settings) -> list[Report]:
    """Check every model that the targets hold: a report for each, then one for each file without any.

    Raises:
        UsageError: a target stands for nothing, or a selector matches no rule.
    """
    require_known((*settings.chosen, *settings.ignore))
    targets, unchecked = engine.plan(settings.targets)
    return [*run(targets, settings), *unchecked]


def run(targets: Sequence[Target], settings: Settings, check: str = CHECK) -> list[Report]:
    """Check targets in child processes, a report for each in their order.

    Args:
        targets: what to check.
        settings: how.
        check: "module:function" that the children call with a target and the settings.

    Raises:
        KeyboardInterrupt: after all children have been ended.
    """
    groups = list(shared(targets, settings.jobs))
    children = [Child(settings, check) for _ in groups]
    with ThreadPoolExecutor(settings.jobs) as pool:
        try:
            futures = list(map(pool.submit, repeat(check_group), children, groups))
            return [report for future in futures for report in result_of(future)]
        except BaseException:
            for child in children:
                child.stop()
            pool.shutdown(cancel_futures=True)
            raise


def result_of(future: Future[list[Report]]) -> list[Report]:
    """A future's result, waited for in short steps: not every system lets Ctrl-C interrupt a long wait."""
    while not future.done():
        wait([future], timeout=0.2)
    return future.result()


def check_group(child: Child, targets: Sequence[Target]) -> list[Report]:
    """Check targets one after the other in one child, which is replaced if it dies."""
    try:
        return list(filter(None, map(child.check, targets)))
    finally:
        child.end()


def shared(targets: Sequence[Target], jobs: int) -> Iterator[list[Target]]:
    """Targets in groups that share a child: those of one directory, in as many parts as there are jobs."""
    for _, group in groupby(targets, key=directory):
        alike = list(group)
        size = math.ceil(len(alike) / jobs)
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


def directory(target: Target) -> str:
    """The directory of a target's file, by which targets share a process; "" for a module without one."""
    return os.path.dirname(os.path.abspath(target.file)) if target.file else ""


class Child:
    """A process that checks targets, started when there is something to check."""

    def __init__(self, settings: Settings, check: str = CHECK) -> None:
        self.settings = settings
        self.check_name = check
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()  # no process may start after `stop`
        self.stopped = False
        self.too_long = False

    def check(self, target: Target) -> Report | None:
        """The report on `target`, which may say that the process died or took too long; None after `stop`."""
        with self.lock:
            if self.stopped:
                return None
            process = self.process = self.process or start(self.check_name)
        self.too_long = False
        timer = threading.Timer(self.settings.timeout, self.time_is_over)
        timer.daemon = True
        timer.start()
        try:
            answer = ask(process, (target, self.settings))
        finally:
            timer.cancel()
        if answer is None:
            return self.post_mortem(target)
        if isinstance(answer, NetcheckError):
            raise answer
        return answer

    def post_mortem(self, target: Target) -> Report:
        """The report for a target that ended the process."""
        process, self.process = self.process, None
        code = process.wait() if process else 0
        if self.too_long:
            message = f"the check took longer than {self.settings.timeout:g} s and was ended"
            advice = "give it longer with --timeout, or smaller inputs with --input"
        else:
            message = f"the process that ran the model {ending(code)}"
            advice = (
                "import the file and run forward by hand: what ended netcheck's process will end that one too"
            )
        return crashed(target, self.settings, message, advice)

    def time_is_over(self) -> None:
        """End a check that takes too long."""
        self.too_long = True
        self.kill()

    def stop(self) -> None:
        """End the process and start no other."""
        with self.lock:
            self.stopped = True
            self.kill()

    def end(self) -> None:
        """End the process, which has nothing more to do."""
        self.kill()
        if self.process:
            self.process.communicate()
            self.process = None

    def kill(self) -> None:
        """End the process and, where the system has process groups, whatever it started."""
        process = self.process
        if process and process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):  # it may end by itself in between
                os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()


def crashed(target: Target, settings: Settings, message: str, advice: str, evidence: str = "") -> Report:
    """The report for a target whose check came to no end."""
    found = engine.notice("NC007", message, help=advice, evidence=evidence)
    return engine.finish(Report(model=target.symbol, target=target.name), [found], settings)


def start(check: str) -> subprocess.Popen[bytes]:
    """A child that calls `check`, in a session of its own: Ctrl-C reaches the parent, which ends it."""
    path = [str(Path(entry).absolute()) if entry else os.getcwd() for entry in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", BOOT.format(path=path, check=check)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=os.name == "posix",
    )


def ask(process: subprocess.Popen[bytes], request: Request) -> Report | NetcheckError | None:
    """Send a request and wait for its answer; None if the process died before it gave one."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pickle.dump(request, process.stdin)
        process.stdin.flush()
        answer: Report | NetcheckError = pickle.load(process.stdout)
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    return answer


def ending(code: int) -> str:
    """How a process ended, by its exit code."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def serve(check: str) -> None:
    """In the child: answer requests until the parent has no more, or is gone."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # code that asks for input gets none
        os.dup2(nothing.fileno(), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    os.dup2(2, 1)  # what the user's code prints must not get into the answers
    function = imported(check)
    for target, settings in read_requests(requests):
        try:
            answer: Report | NetcheckError = replace(function(target, settings), graph=None)
        except NetcheckError as error:
            answer = error
        except Exception as error:
            message = f"netcheck itself failed on this model: {engine.exception_text(error)}"
            advice = "report this together with the model"
            answer = crashed(target, settings, message, advice, engine.place_text(error))
        pickle.dump(answer, answers)
        answers.flush()


def read_requests(stream: BinaryIO) -> Iterator[Request]:
    """The parent's requests. A thread waits for them, so that no child outlives its parent."""
    arrived: SimpleQueue[Request] = SimpleQueue()

    def receive() -> None:
        while True:
            try:
                arrived.put(pickle.load(stream))
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        yield arrived.get()


def imported(name: str) -> Callable[[Target, Settings], Report]:
    """The function that "module:function" names."""
    from importlib import import_module

    module, _, function = name.partition(":")
    found: Callable[[Target, Settings], Report] = getattr(import_module(module), function)
    return found
