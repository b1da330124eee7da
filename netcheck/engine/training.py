"""What the rules on training steps see in files: a report for each file with findings. Imports no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from netcheck.engine.judging import finish, guarded
from netcheck.engine.subjects import NOTHING_ASKED, Asked
from netcheck.findings import Finding, Report
from netcheck.rules import base, thresholds
from netcheck.settings import Settings
from netcheck.source.mentions import LARGEST
from netcheck.source.parse import Unreadable, limit_of, read
from netcheck.source.training import reading
from netcheck.source.training.seam import seam_of

if TYPE_CHECKING:
    from torch import nn

Kept = Callable[[str, Callable[[], Report]], Report]


def training_reports(files: Iterable[str], settings: Settings, kept: Kept = lambda file, read: read()) -> list[Report]:
    """What the selected rules see in how files train their models: a report for each in which there is something.

    Args:
        files: paths as the user named them, or as they were found in folders.
        settings: the run's settings.
        kept: the report on a file, taken from where it was kept or read by the function that it is given.
    """
    rules = [rule for rule in base.select(settings.chosen, settings.ignore) if isinstance(rule, base.TrainingRule)]
    training = [file for file in files if trains(file)] if rules else []
    reports = [kept(file, partial(training_report, file, rules, settings)) for file in training]
    return [report for report in reports if report.findings or report.suppressed]


def training_report(file: str, rules: Sequence[base.TrainingRule], settings: Settings) -> Report:
    """The report on one file that trains."""
    start = time.perf_counter()
    with thresholds.chosen(base.thresholds_in(settings)):
        findings = list(judged(os.path.abspath(file), rules))
    report = finish(Report(model=file, target=file), findings, settings)
    report.skipped.clear()  # of a file, nothing is checked beside
    report.seconds = time.perf_counter() - start
    return report


def step_of_file(file: str, symbol: str, settings: Settings, model: nn.Module) -> Asked:
    """The loss and the optimizer that a file trains a model with, made for this one, as far as they can be read off."""
    if not settings.probe or not file:
        return NOTHING_ASKED
    from netcheck.load import seam as objects

    found = seam_of(reading.read(os.path.abspath(file)), type(model).__name__, symbol)
    if found is None:
        return NOTHING_ASKED
    loss, optimizer = objects.loss_of(found), objects.optimizer_of(found, model)
    draw: Callable[[Any], Any] | None = objects.nothing_drawn if not found.own else None
    if loss is not None:
        draw = partial(objects.drawn, loss.draw, seed=settings.seed)
    places = found.loss.place if found.loss else None, found.optimizer.place if found.optimizer else None
    return Asked(None, loss and loss.function, optimizer, draw, places)


def trains(file: str) -> bool:
    """Whether the bytes of a file say that it may train something."""
    try:
        return reading.may_train(read(file, min(limit_of(file), LARGEST)))
    except Unreadable:
        return False


def judged(path: str, rules: Sequence[base.TrainingRule]) -> Iterator[Finding]:
    """What rules see in a file."""
    training = reading.read(path)
    for rule in rules:
        yield from guarded(rule, rule.check, training)


def joined(reports: Sequence[Report], about_files: Sequence[Report]) -> list[Report]:
    """Reports on files without a model, with what is found in how these train; then on the others that train."""
    by_file = {os.path.realpath(report.target): report for report in about_files}
    for report in reports:
        found = by_file.pop(os.path.realpath(report.target), None)
        if found is not None:
            report.findings += found.findings
            report.suppressed += found.suppressed
            report.suppressions += found.suppressions
    rest: Collection[Report] = by_file.values()
    return [*reports, *rest]
