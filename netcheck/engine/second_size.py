"""A second opinion where netcheck chose the size of the inputs itself: what does not hold at another size is no warning.

    at_another_size(report, findings, ...)   a kernel that meets nothing but padding on 128 samples of a signal, and not on 4,096

Only what nobody said is tried otherwise, and only where something would be a warning or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from netcheck.engine.judging import given_verdicts, judge, judge_cost
from netcheck.engine.measuring import costed, measured
from netcheck.engine.subjects import traced
from netcheck.errors import NetcheckError
from netcheck.findings import Finding, Report, Severity, Verdict
from netcheck.rules import base
from netcheck.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from netcheck.load.inputs import ExampleInputs

# What to try in the place of a size, by what it is of: images as large as they are usual, or half as large; longer signals.
SMALL, LARGE = 128, 224  # sides of images
LONGER = {"samples": 32, "length": 4, "depth": 2}  # times as many


def at_another_size(
    report: Report,
    findings: Sequence[Finding],
    example: ExampleInputs,
    settings: Settings,
    factory: Callable[[int], nn.Module] | None,
) -> list[Finding]:
    """The findings; those that would fail a run and are not made at another size are information that names the guess."""
    doubtful = [one for one in findings if may_depend_on_size(one)]
    if not doubtful or example.resized is None or report.graph is None:
        return list(findings)
    sizes = {name: another(name, size) for name, size in example.guessed.items()}
    try:
        other = example.resized(sizes)
        again = found_on(report, other, settings, factory)
    except NetcheckError:
        return list(findings)  # it does not run at that size: the first is no guess
    codes = {one.code for one in again if one.counts and one.severity >= Severity.WARNING}
    return [guess(one, example.guessed, sizes) if one in doubtful and one.code not in codes else one for one in findings]


def may_depend_on_size(found: Finding) -> bool:
    """Whether a finding would fail a run, and rests on numbers that the size of the inputs may change."""
    rule = base.find(found.code)
    return found.counts and found.severity >= Severity.WARNING and (rule.depends_on_size or isinstance(rule, base.MeasuredRule))


def another(name: str, size: int) -> int:
    """A size to try in the place of one that was guessed."""
    if name in LONGER:
        return size * LONGER[name]
    return SMALL if size > SMALL else LARGE


def found_on(
    report: Report, example: ExampleInputs, settings: Settings, factory: Callable[[int], nn.Module] | None
) -> list[Finding]:
    """What the rules say of the model on other inputs.

    Raises:
        NetcheckError: it does not run on them.
    """
    twin = Report(report.model)
    graph = twin.graph = traced(report.graph.model, example.args, example.kwargs)
    twin.measure_cost = partial(costed, twin, graph, example, settings)
    suspicions, gradients = list(judge(graph, settings)), None
    if settings.probe:
        _, gradients, _ = measured(twin, graph, example, settings, factory)
    return [*given_verdicts(suspicions, graph, gradients, settings), *judge_cost(twin, graph, settings)]


def guess(found: Finding, first: Mapping[str, int], second: Mapping[str, int]) -> Finding:
    """A finding as information that says on which guess it rests."""
    sizes = " and ".join(f"{name} {size}" for name, size in first.items())
    others = " and ".join(f"{name} {size}" for name, size in second.items())
    text = f"{found.evidence.text}; at {sizes}, which netcheck chose, and not at {others}"
    return replace(found, severity=Severity.INFO, verdict=Verdict.SUSPECTED, evidence=replace(found.evidence, text=text))
