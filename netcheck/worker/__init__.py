"""Checking in child processes, so that nothing a user's file does can harm the run. Imports no torch.

    this process                  worker (imports torch once)         child (one for each target, forked)
    check_all(targets) --command--> serve() ------------fork------------> check_target(target, settings)
        ^  ^  ^                        |                                    |     |      |
        |  |  +------- control --------+  started, ended                    |     |      |
        |  +---------- results ---------------------------------------------+     |      |
        +------------- output, bounded -------------------------------------------+      |
        +------------- faults: where it stood when it died ------------------------------+

A child has its own session, no standard input, a time limit and a memory limit. Whatever it leaves behind is
killed. It shares nothing with the next child: what it did to torch, to builtins or to its standard output
ends with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from netcheck import baseline, engine
from netcheck import progress as watching
from netcheck.errors import UsageError
from netcheck.figures.unchecked import Reason, Unchecked
from netcheck.findings import INTERRUPTED, Location, Report
from netcheck.launch import launched
from netcheck.load.specs import parse_spec
from netcheck.rules.base import require_settings
from netcheck.rules.suppressions import unused
from netcheck.settings import Settings
from netcheck.source.targets import Target
from netcheck.worker.cache import opened
from netcheck.worker.child import Worker
from netcheck.worker.limits import Limits
from netcheck.worker.pool import ENGINE, FORKS, Event, check_all

NOT_BUILT = (Reason.PACKAGE, Reason.IMPORT, Reason.ARGUMENTS, Reason.BUILD)

__all__ = ["Event", "Interrupted", "Keeper", "Limits", "check_all", "check_targets"]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another request to end, while models are checked.

    Attributes:
        reports: of the models that were checked, and for each of the others one that says that it was not.
    """

    def __init__(self, reports: list[Report]) -> None:
        super().__init__()
        self.reports = reports


def check_targets(settings: Settings, progress: Callable[[Event], None] | None = None) -> list[Report]:
    """Check every model that the targets hold: a report for each, then one for each file without any, or with a fault in how it
    trains.

    Each of the former is handed to `netcheck.progress.finished` as soon as it and all before it are there. What only all
    together tell (comments that suppress nothing, the baseline) is not in it yet.

    Raises:
        UsageError: a target stands for nothing, or a selector matches no rule.
        InputError: an input is malformed.
        Interrupted: the run is to end now; the exception has the reports that there are.
    """
    require_settings(settings)
    for text in settings.inputs:
        parse_spec(text)
    targets, without_model, parts, files = engine.planned(settings.targets, settings)
    require_one(targets, settings)
    unchecked = engine.joined(without_model, trained(files, settings))
    try:
        reports = [*with_parts(targets, parts, settings, progress), *unchecked]
    except Interrupted as stop:
        stop.reports += unchecked
        raise
    unused(reports, {target.file for target in targets if target.discovered}, settings)
    if settings.baseline is not None and not settings.write_baseline:
        baseline.apply(reports, settings)
    return reports


def trained(files: Sequence[str], settings: Settings) -> list[Report]:
    """What is found in how files train, from the cache where there is one."""
    cache = opened(settings)
    if cache is None:
        return engine.training_reports(files, settings)
    return engine.training_reports(files, settings, lambda file, read: cache.training(file, settings, read))


class Finished:
    """Tells of reports in their order, each when all before it are there; of what several say, the first in full.

    That something which netcheck found could not be checked waits for the end: it may be checked inside another model.
    """

    def __init__(self) -> None:
        """Begin with none told of."""
        self.earlier: list[Report] = []  # of targets that are done with
        self.found: set[str] = set()  # the names of targets that nobody named
        self.waiting: list[Report] = []
        self.count = 0
        self.said: dict[tuple[str, Location | None], Report] = {}  # imports that failed

    def __call__(self, reports: Sequence[Report | None] = (), *, last: bool = False) -> None:
        """Tell of those of `reports` that it has not told of, up to the first that is not there yet; at last of what waits."""
        every = [*self.earlier, *reports]
        while self.count < len(every) and (report := every[self.count]) is not None:
            self.count += 1
            if report.unchecked is not None and report.target in self.found:
                self.waiting.append(report)
            else:
                self.tell(report, len(every))
        for report in self.waiting if last else ():
            self.tell(report, len(every))

    def tell(self, report: Report, total: int) -> None:
        """Tell of one of `total` reports."""
        self.shorten(report)
        watching.finished(report, total)

    def shorten(self, report: Report) -> None:
        """Say of an import that failed before only that it did."""
        found = next((one for one in report.findings if one.code == "NC001" and one.message.startswith("importing ")), None)
        if found is None:
            return
        what, _, raised = found.message.partition(" raised ")
        first = self.said.setdefault((raised or what, found.location), report)
        if first is not report:
            report.findings.remove(found)
            report.skipped.append(f"{what} failed, as is said of {first.target}")


def with_parts(
    targets: list[Target],
    parts: Mapping[Target, Sequence[Target]],
    settings: Settings,
    progress: Callable[[Event], None] | None,
) -> list[Report]:
    """A report for each target; and for each part of one that could not be checked, if it stands in none that was.

    Raises:
        Interrupted: the run is to end now.
    """
    finished = Finished()
    finished.found = {target.name for target in targets if target.discovered}
    wave, reports = targets, list[Report]()
    failed: dict[Target, Report] = {}
    sound: list[Target] = []
    while wave:
        try:
            new = checked(wave, settings, progress, finished)
        except Interrupted as stop:
            stop.reports = [*reports, *stop.reports]
            raise
        reports += new
        for target, report in zip(wave, new, strict=True):
            if report.summary is None:
                failed[replace(target, part=False)] = report
            else:
                sound.append(replace(target, part=False))
        wave = [as_part(one, failed, parts) for one in untried(list(failed), sound, parts, held_by(reports))]
        finished.found |= {target.name for target in wave if target.discovered}
    stood_for(failed, sound, parts)
    stand_inside(failed, reports)
    finished(last=True)
    return reports


def as_part(target: Target, failed: Iterable[Target], parts: Mapping[Target, Sequence[Target]]) -> Target:
    """A part of what failed, as such; the class of a variable is that variable's model and no part of it."""
    holders = [one for one in failed if target in parts.get(one, ())]
    return replace(target, part=not all(one.variable and model_of(one, parts) == target for one in holders))


def model_of(variable: Target, parts: Mapping[Target, Sequence[Target]]) -> Target | None:
    """The class that a variable is made by; None where another variable is in it."""
    first = next(iter(parts.get(variable, ())), None)
    return None if first is None or first.variable else first


def stood_for(failed: Mapping[Target, Report], sound: Sequence[Target], parts: Mapping[Target, Sequence[Target]]) -> None:
    """Take variables that could not be built for checked where the classes that they are made by are."""
    known = closure(sound, parts)
    for target, report in failed.items():
        kind = model_of(target, parts) if target.variable else None
        if kind in known and report.unchecked is not None and report.unchecked.reason in NOT_BUILT:
            assert kind is not None
            take_as_checked(report, f"{kind.symbol} is checked in its place, for")


def stand_inside(failed: Mapping[Target, Report], reports: Sequence[Report]) -> None:
    """Take classes that could not be checked by themselves for checked where a model that was runs one of them."""
    holders = held_by(reports)
    for target, report in failed.items():
        holder = holders.get(class_of(target)) if target.discovered else None
        if holder is not None and report.unchecked is not None:
            take_as_checked(report, f"{target.symbol} is checked inside {holder.target}; by itself it could not be:")


def take_as_checked(report: Report, instead: str) -> None:
    """Say where a model is checked instead, before why it could not be by itself, and nothing else of it."""
    why = "; ".join(found.message for found in report.findings)
    report.skipped.append(f"{instead} {why}")
    report.unchecked = None
    report.findings.clear()


def closure(targets: Sequence[Target], parts: Mapping[Target, Sequence[Target]]) -> set[Target]:
    """Some models and all that they are built from."""
    known, pending = set(targets), list(targets)
    while pending:
        inside = [one for one in parts.get(pending.pop(), ()) if one not in known]
        known.update(inside)
        pending += inside
    return known


def untried(
    failed: Sequence[Target], sound: Sequence[Target], parts: Mapping[Target, Sequence[Target]], held: Container[str]
) -> list[Target]:
    """The parts of models that failed which stand in no sound one and were not tried themselves."""
    known = {*failed, *closure(sound, parts)}
    every = (one for target in failed if target.discovered for one in parts.get(target, ()))
    return [one for one in dict.fromkeys(every) if one not in known and class_of(one) not in held]


def held_by(reports: Sequence[Report]) -> dict[str, Report]:
    """The classes that checked models run, each with the first of these models."""
    return {held: report for report in reversed(reports) if report.summary is not None for held in report.holds}


def class_of(target: Target) -> str:
    """A class as `Report.holds` names it."""
    return f"{os.path.realpath(target.file)}:{target.symbol}"


def checked(
    targets: Sequence[Target],
    settings: Settings,
    progress: Callable[[Event], None] | None = None,
    finished: Finished | None = None,
) -> list[Report]:
    """A report for each target: from the cache where there is one, else from a child process.

    Raises:
        Interrupted: the run is to end now.
    """
    cache = None if launched() else opened(settings)
    finished = finished or Finished()
    reports: list[Report | None] = [None] * len(targets)
    try:
        keys = [cache.key(target, settings) if cache else "" for target in targets]
        reports[:] = [cache.load(key) if cache and key else None for key in keys]
        missing = [number for number, report in enumerate(reports) if report is None]
        finished(reports)
        memory = settings.memory or Limits().memory // settings.jobs
        limits = Limits(seconds=settings.timeout, memory=memory)
        left = [targets[number] for number in missing]
        fresh = check_all(left, settings, jobs=settings.jobs, limits=limits, progress=progress) if left else ()
        with closing(one_by_one(fresh)) as coming:
            for number, report in zip(missing, coming, strict=True):
                # Not under a key that no longer holds: the file may have changed while it was checked.
                if cache and keys[number] == cache.key(targets[number], settings):
                    cache.store(keys[number], report)
                reports[number] = report
                finished(reports)
    except KeyboardInterrupt as stop:
        raise Interrupted([report or unfinished(target) for target, report in zip(targets, reports, strict=True)]) from stop
    if cache:
        cache.prune()
    done = [report for report in reports if report is not None]
    finished.earlier += done
    return done


def one_by_one(reports: Iterable[Report]) -> Generator[Report, None, None]:
    """Reports as they come; who closes this ends what makes them."""
    yield from reports


def unfinished(target: Target) -> Report:
    """The report on a target that was not checked any more."""
    return Report(target.symbol, target=target.name, skipped=[INTERRUPTED], unchecked=Unchecked(Reason.ENDED))


def require_one(targets: Sequence[Target], settings: Settings) -> None:
    """Refuse weights for several models, or from a file that is not there, before torch is imported.

    Raises:
        UsageError: so it is.
    """
    if settings.weights is None:
        return
    if not settings.weights.is_file():
        raise UsageError(f"--weights {settings.weights}: there is no such file")
    if len(targets) > 1:
        names = ", ".join(target.name for target in targets[:3])
        raise UsageError(f"--weights belongs to one model, and there are {len(targets)}: name one of {names}")


class Keeper:
    """Checks targets as they come, in a worker that is kept from one to the next: torch is imported once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = Limits(seconds=settings.timeout, memory=settings.memory or Limits().memory)
        self.worker = Worker(ENGINE, 1, FORKS)

    def check(self, target: Target) -> Report:
        """The report on one target.

        Raises:
            UsageError: the worker cannot be started.
        """
        return self.worker.run(target, self.settings, self.limits, lambda phase: None)

    def stop(self) -> None:
        """End the worker."""
        self.worker.stop()
