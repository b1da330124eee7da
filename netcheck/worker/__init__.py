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

from collections.abc import Callable, Sequence

from netcheck import baseline, engine
from netcheck.errors import UsageError
from netcheck.findings import Report
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

__all__ = ["Event", "Keeper", "Limits", "check_all", "check_targets"]


def check_targets(settings: Settings, progress: Callable[[Event], None] | None = None) -> list[Report]:
    """Check every model that the targets hold: a report for each, then one for each file without any.

    Raises:
        UsageError: a target stands for nothing, or a selector matches no rule.
        InputError: an input is malformed.
    """
    require_settings(settings)
    for text in settings.inputs:
        parse_spec(text)
    targets, unchecked = engine.plan(settings.targets, settings)
    require_one(targets, settings)
    reports = [*checked(targets, settings, progress), *unchecked]
    unused(reports, {target.file for target in targets if target.discovered}, settings)
    if settings.baseline is not None and not settings.write_baseline:
        baseline.apply(reports, settings)
    return reports


def checked(targets: Sequence[Target], settings: Settings, progress: Callable[[Event], None] | None) -> list[Report]:
    """A report for each target: from the cache where there is one, else from a child process."""
    cache = None if launched() else opened(settings)
    keys = [cache.key(target, settings) if cache else "" for target in targets]
    reports = [cache.load(key) if cache and key else None for key in keys]
    missing = [number for number, report in enumerate(reports) if report is None]
    memory = settings.memory or Limits().memory // settings.jobs
    limits = Limits(seconds=settings.timeout, memory=memory)
    left = [targets[number] for number in missing]
    fresh = check_all(left, settings, jobs=settings.jobs, limits=limits, progress=progress) if left else ()
    for number, report in zip(missing, fresh, strict=True):
        reports[number] = report
        # Not under a key that no longer holds: the file may have changed while it was checked.
        if cache and keys[number] == cache.key(targets[number], settings):
            cache.store(keys[number], report)
    if cache:
        cache.prune()
    return [report for report in reports if report is not None]


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
