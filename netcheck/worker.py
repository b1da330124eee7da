"""Runs the engine in child processes, because it runs the user's code: that may hang, crash or print.

    check_targets(settings)            one thread a group of targets, `jobs` at a time
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from netcheck import engine
from netcheck.errors import NetcheckError
from netcheck.findings import Report
from netcheck.rules.base import require_known
from netcheck.settings import Settings

CHECK = "netcheck.engine:check_target"

# The child gets this process's import path; -P keeps the current directory out of it, where a `random.py` may
# stand.
BOOT = "import sys; sys.path[:] = {path!r}; from netcheck.worker import serve; serve({check!r})"


def check_targets(settings: Settings, check: str = CHECK) -> list[Report]:
    """Check all targets of `settings`, in their order.

    Args:
        settings: what to do.
        check: "module:function" that the children call with a target and the settings.

    Raises:
        UsageError: a selector matches no rule.
        KeyboardInterrupt: after all children have been ended.
    """
    require_known((*settings.chosen, *settings.ignore))
    groups = list(shared(settings.targets, settings.jobs))
    children = [Child(settings, check) for _ in groups]
    with ThreadPoolExecutor(settings.jobs) as pool:
        try:
            answers = list(pool.map(check_group, children, groups))
        except BaseException:
            for child in children:
                child.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return [report for reports in answers for report in reports]


def check_group(child: Child, targets: Sequence[str]) -> list[Report]:
    """Check targets one after the other in one child, which is replaced if it dies."""
    try:
        return [report for target in targets for report in child.check(target)]
    finally:
        child.end()


def shared(targets: Sequence[str], jobs: int) -> Iterator[list[str]]:
    """Targets in groups that share a child: those of one directory, in as many parts as there are jobs."""
    for _, group in groupby(targets, key=directory):
        alike = list(group)
        size = math.ceil(len(alike) / jobs)
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


def directory(target: str) -> str:
    """What tells whether two targets may share a process: the directory of a file, "" for a module's name."""
    file = target if os.path.exists(target) else target.rpartition(":")[0]
    return os.path.dirname(os.path.abspath(file)) if file and os.path.exists(file) else ""


class Child:
    """A process that checks targets, started when there is something to check."""

    def __init__(self, settings: Settings, check: str = CHECK) -> None:
        self.settings = settings
        self.check_name = check
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()  # no process may start after `stop`
        self.stopped = False
        self.too_long = False

    def check(self, target: str) -> list[Report]:
        """The reports on `target`; if the process dies or takes too long, one report that says so."""
        with self.lock:
            if self.stopped:
                return []
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
            return [self.post_mortem(target)]
        if isinstance(answer, NetcheckError):
            raise answer
        return answer

    def post_mortem(self, target: str) -> Report:
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
            with suppress(ProcessLookupError):  # it may end by itself in between
                os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()


def crashed(target: str, settings: Settings, message: str, advice: str, evidence: str = "") -> Report:
    """The report for a target whose check came to no end."""
    found = engine.notice("NC007", message, help=advice, evidence=evidence)
    return engine.finish(Report(model=target, target=target), [found], settings)


def start(check: str) -> subprocess.Popen[bytes]:
    """A child that calls `check`, in a session of its own: Ctrl-C reaches the parent, which ends it."""
    path = [str(Path(entry).absolute()) if entry else os.getcwd() for entry in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", BOOT.format(path=path, check=check)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=os.name == "posix",
    )


def ask(
    process: subprocess.Popen[bytes], request: tuple[str, Settings]
) -> list[Report] | NetcheckError | None:
    """Send a request and wait for its answer; None if the process died before it gave one."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pickle.dump(request, process.stdin)
        process.stdin.flush()
        answer: list[Report] | NetcheckError = pickle.load(process.stdout)
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
    os.dup2(2, 1)  # what the user's code prints must not get into the answers
    function = imported(check)
    for target, settings in read_requests(requests):
        try:
            answer: Any = [replace(report, graph=None) for report in function(target, settings)]
        except NetcheckError as error:
            answer = error
        except Exception as error:
            message = f"netcheck itself failed on this target: {engine.exception_text(error)}"
            answer = [
                crashed(
                    target, settings, message, "report this together with the model", engine.place_text(error)
                )
            ]
        pickle.dump(answer, answers)
        answers.flush()


def read_requests(stream: BinaryIO) -> Iterator[tuple[str, Settings]]:
    """The parent's requests. A thread waits for them, so that no child outlives its parent."""
    arrived: SimpleQueue[tuple[str, Settings]] = SimpleQueue()

    def receive() -> None:
        while True:
            try:
                arrived.put(pickle.load(stream))
            except (EOFError, OSError):
                os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        yield arrived.get()


def imported(name: str) -> Callable[[str, Settings], list[Report]]:
    """The function that "module:function" names."""
    from importlib import import_module

    module, _, function = name.partition(":")
    found: Callable[[str, Settings], list[Report]] = getattr(import_module(module), function)
    return found
