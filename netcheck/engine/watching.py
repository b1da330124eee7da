"""A training that is watched: the measured rules, on the figures of every N-th step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netcheck.errors import UsageError
from netcheck.figures.watched import WatchedStep
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules import base
from netcheck.rules.helpers.depth_budget import BUDGET

if TYPE_CHECKING:
    from netcheck.measure.live import Change, Watch

REST = "look at what the training did before this step: a learning rate that is too high is the usual cause"


def watch(model: Any, every: int = 500, tell: Callable[[Change], None] | None = None) -> Watch:
    """Look at a model every N steps while it is trained: dead and saturated units, gradients that vanish or explode, NaN at its
    first operation, steps that are out of all proportion to the weights.

        with netcheck.watch(model, every=500, tell=print):
            for x, y in loader:
                ...

    A step is a call of the model in training mode, with gradients on. What is found is told once when it begins and once when it
    ends, and kept in `changes`. Nothing is written, and nothing that goes wrong in here reaches the training (`failed`).

    Args:
        model: the nn.Module that is trained, before or after it is moved and wrapped.
        every: how many steps lie between two that are looked at; the first step is.
        tell: called with each change, such as `print`.

    Raises:
        UsageError: `model` is no nn.Module, or `every` is no positive number.
    """
    from torch import nn

    from netcheck.measure.live import Watch

    if not isinstance(model, nn.Module):
        raise UsageError(f"watch takes an nn.Module that is trained, not a {type(model).__name__}")
    if not isinstance(every, int) or every < 1:
        raise UsageError(f"every: expected a number of steps, 1 or more, not {every!r}")
    return Watch(model, every, lambda step: list(judged(step)), tell)


def judged(step: WatchedStep) -> Iterator[Finding]:
    """What the figures of a step say."""
    if step.non_finite:
        fact = "operation" if not step.non_finite.startswith("the gradient") else "parameter"
        yield said("NC609", f"a NaN or an infinity arises in {step.non_finite}", f"first {fact}: {step.non_finite}", 1.0, REST)
        return
    yield from activations(step)
    if step.gain is not None and abs(step.gain) > BUDGET:
        code, word = ("NC601", "vanishes") if step.gain < 0 else ("NC602", "explodes")
        text = f"gain {step.gain:+.1f} decades over {step.layers} weight layers, budget ±{BUDGET:g}"
        yield said(code, f"the gradient {word} on its way back", text, step.gain, "check the model with netcheck.check(model)")
    yield from moves(step)


def activations(step: WatchedStep) -> Iterator[Finding]:
    """Units that are dead or saturated."""
    dead, saturated = base.find("NC605"), base.find("NC606")
    for one in step.activations:
        if one.dead is not None and one.dead > dead.limit("share"):
            text = f"{one.dead:.0%} of {one.units} units are 0 for the whole batch"
            help = "lower the learning rate, or use a leaky rectifier"
            found = said("NC605", f"{text} after {one.operation}", text, one.dead, help, one.path)
            yield replace(found, severity=Severity.ERROR if one.dead == 1 else Severity.WARNING)
        if one.saturated is not None and one.saturated > saturated.limit("share"):
            text = f"{one.saturated:.0%} of the values of {one.operation} are where its slope is below a tenth"
            yield said("NC606", text, text, one.saturated, "lower the learning rate, or normalize what comes in", one.path)


def moves(step: WatchedStep) -> Iterator[Finding]:
    """Steps that are out of proportion to the weights."""
    rule = base.find("TS809")
    if step.moved is not None and step.moved > rule.limit("most"):
        name, ratio = step.moved_most
        text = f"one step moves the weights by {step.moved:.2g} times their norm, {name} by {ratio:.2g}"
        yield said("TS809", text, text, step.moved, "lower the learning rate, or clip the gradients")


def said(code: str, message: str, text: str, value: float, help: str, path: str | None = None) -> Finding:
    """A finding of a rule, of a step."""
    rule = base.find(code)
    severity = min(rule.severity, Severity.WARNING, key=lambda one: one.rank) if code != "NC609" else rule.severity
    found = rule.finding(message, help=help, evidence=Evidence(value, "", text), severity=severity, verdict=Verdict.CONFIRMED)
    return found if path is None else replace(found, modules=(path,))
