"""Several workers side by side, and their reports in the order of the targets."""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from netcheck.findings import Report
from netcheck.source.targets import Target
from netcheck.worker import outcome
from netcheck.worker.child import Worker
from netcheck.worker.limits import Limits

ENGINE = "netcheck.engine:check_target"
ISOLATES = os.name == "posix"  # elsewhere pipes cannot be handed to a child, nor a group of processes ended
FORKS = sys.platform.startswith("linux")  # elsewhere the system's own libraries do not survive a fork


@dataclass(frozen=True, slots=True)
class Event:
    """What a person watching wants to know: a phase of a target begins, or its report is there ("done").

    `number` counts the targets from 1 to `total`, in the order of their reports.
    """

    target: Target
    phase: str
    number: int = 1
    total: int = 1


def check_all(
    targets: Sequence[Target],
    settings: Any = None,
    *,
    jobs: int = 1,
    limits: Limits | None = None,
    check: str = ENGINE,
    progress: Callable[[Event], None] | None = None,
    forks: bool = FORKS,
) -> Iterator[Report]:
    """Check targets in child processes.

    Args:
        targets: what to check.
        settings: passed on to `check`; must be picklable.
        jobs: how many are checked at the same time.
        limits: for each target; by default two minutes and its share of most of the machine's memory.
        check: the function `(target, settings) -> Report` that runs in the child, as "module:function".
        progress: called, in this thread, with each event.
        forks: whether each target has a process of its own, or shares one until it dies.

    Yields:
        One report for each target, in their order. A target that cannot be loaded, or that ends its process,
        has a report that says so.

    Raises:
        UsageError: the worker process cannot be started at all.
    """
    if not ISOLATES:
        yield from check_here(targets, settings, check, progress)
        return
    jobs = max(1, min(jobs, len(targets)))
    limits = limits or Limits(memory=Limits().memory // jobs)
    pending: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    messages: queue.SimpleQueue[tuple[int, Event | Report | BaseException]] = queue.SimpleQueue()
    for number in range(len(targets)):
        pending.put(number)
    workers = kept_workers[:jobs] or [Worker(check, jobs, forks) for _ in range(jobs)]
    done = False

    def work(worker: Worker) -> None:
        number = -1
        try:
            while (number := next_or_end(pending)) >= 0:
                place, target = number, targets[number]

                def on_phase(phase: str, place: int = place, target: Target = target) -> None:
                    messages.put((place, Event(target, phase, place + 1, len(targets))))

                on_phase("load")
                report = worker.run(target, settings, limits, on_phase)
                on_phase("done")
                messages.put((number, report))
        except BaseException as error:  # to the thread that can tell the user
            messages.put((number, error))
        finally:
            if worker.closed or worker not in kept_workers:
                worker.stop()

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    try:  # a signal may come while they start, and one of them may have made a folder already
        for thread in threads:
            thread.start()
        yield from in_order(messages, len(targets), progress)
        done = True
    finally:
        while next_or_end(pending) >= 0:
            pass
        for worker in workers:
            if not (done and worker in kept_workers):
                worker.interrupt()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


kept_workers: list[Worker] = []  # that a run uses and leaves running


@contextmanager
def keeping(worker: Worker) -> Iterator[None]:
    """Have the runs in this context use a worker that is already there, and leave it there."""
    kept_workers.append(worker)
    try:
        yield
    finally:
        kept_workers.remove(worker)


def check_here(
    targets: Sequence[Target], settings: Any, check: str, progress: Callable[[Event], None] | None
) -> Iterator[Report]:
    """Check targets in this process, where the system has no means to isolate them: without limits of time or memory."""
    module, _, function = check.partition(":")
    run: Callable[[Target, Any], Report] = getattr(importlib.import_module(module), function)
    for number, target in enumerate(targets, start=1):
        said = [Event(target, phase, number, len(targets)) for phase in ("load", "done")]
        if progress is not None:
            progress(said[0])
        try:
            report = run(target, settings)
            report.become_plain()
        except (Exception, SystemExit) as error:
            report = outcome.report_of(target, error)
        if progress is not None:
            progress(said[1])
        yield report


def next_or_end(pending: queue.SimpleQueue[int | None]) -> int:
    """The next number in a queue, -1 if it is empty."""
    try:
        number = pending.get_nowait()
    except queue.Empty:
        return -1
    return -1 if number is None else number


def in_order(
    messages: queue.SimpleQueue[tuple[int, Event | Report | BaseException]],
    count: int,
    progress: Callable[[Event], None] | None,
) -> Iterator[Report]:
    """Yield the reports by their numbers as soon as all before them are there; pass the events on."""
    waiting: dict[int, Report] = {}
    following = 0
    while following < count:
        number, message = messages.get()
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, Event):
            if progress is not None:
                progress(message)
            continue
        waiting[number] = message
        while following in waiting:
            yield waiting.pop(following)
            following += 1
