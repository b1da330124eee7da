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

from collections.abc import Callable
from dataclasses import replace

from netcheck import engine
from netcheck.findings import Report
from netcheck.rules.base import require_settings
from netcheck.settings import Settings
from netcheck.worker.limits import Limits
from netcheck.worker.pool import Event, check_all

__all__ = ["Event", "Limits", "check_all", "check_targets"]


def check_targets(settings: Settings, progress: Callable[[Event], None] | None = None) -> list[Report]:
    """Check every model that the targets hold: a report for each, then one for each file without any.

    Raises:
        UsageError: a target stands for nothing, or a selector matches no rule.
    """
    require_settings(settings)
    targets, unchecked = engine.plan(settings.targets, settings)
    limits = replace(Limits(), seconds=settings.timeout, memory=Limits().memory // settings.jobs)
    checked = check_all(targets, settings, jobs=settings.jobs, limits=limits, progress=progress)
    return [*checked, *unchecked]
