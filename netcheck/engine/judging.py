"""What the selected rules say of a graph and of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from netcheck import progress
from netcheck.engine.absent_weights import with_weights_elsewhere
from netcheck.engine.faults import contained, notice
from netcheck.engine.measuring import calls_of, looked_at
from netcheck.engine.subjects import Asked
from netcheck.findings import Finding, Report, Severity, by_importance
from netcheck.launch import launched
from netcheck.load.raised import describe, place_text
from netcheck.rules import base, suppressions, verdicts
from netcheck.rules.ignores import is_ignored
from netcheck.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from netcheck.figures.cost import Cost
    from netcheck.figures.gradients import Gradients
    from netcheck.load.inputs import ExampleInputs
    from netcheck.trace.graph import ModelGraph

R = TypeVar("R", bound=base.Rule)


def judge(graph: ModelGraph, settings: Settings) -> Iterator[Finding]:
    """What the selected static rules see in `graph`; a rule that raises is a finding itself."""
    for rule in base.select(settings.chosen, settings.ignore):
        if isinstance(rule, base.StaticRule):
            yield from guarded(rule, rule.check, graph)


def given_verdicts(
    suspicions: Sequence[Finding], graph: ModelGraph, gradients: Gradients | None, settings: Settings
) -> list[Finding]:
    """The suspicions as the measurements leave them, and what the measured rules see that no suspicion explains."""
    found = list(suspicions)
    if gradients is not None:
        found = [one for suspicion in suspicions for one in with_verdict(suspicion, gradients)]
        measured = [
            finding
            for rule in base.select(settings.chosen, settings.ignore)
            if isinstance(rule, base.MeasuredRule)
            for finding in guarded(rule, rule.check, gradients, graph)
        ]
        found += verdicts.unexplained(measured, found)
    found = with_weights_elsewhere(found, graph.model)
    return [verdicts.forgiven(finding) for finding in found] if settings.optimizer == "adam" else found


def with_verdict(suspicion: Finding, gradients: Gradients) -> list[Finding]:
    """A suspicion with the verdict of its rule; if that raises, as it was, and a finding that says so."""
    rule = verdicts.rule_of(suspicion)
    given = guarded(rule, lambda: [verdicts.judged(suspicion, gradients)])
    return given if given[0].code == suspicion.code else [suspicion, *given]


def judge_cost(report: Report, graph: ModelGraph, settings: Settings) -> Iterator[Finding]:
    """What the selected rules see in the cost, which is measured only where it may concern one or was asked for."""
    from netcheck.measure.fit import accelerator_memory

    rules = [r for r in base.select(settings.chosen, settings.ignore) if isinstance(r, base.CostRule)]
    memory = settings.device_memory or accelerator_memory()
    concerned = [rule for rule in rules if may_concern(rule, graph, memory)]
    cost = report.cost if concerned or settings.tells_cost else None
    if cost is None:
        return
    for rule in concerned:
        yield from guarded(rule, rule.check, on_one_device(cost, report, settings), graph)


def on_one_device(cost: Cost, report: Report, settings: Settings) -> Cost:
    """The cost with the memory of the device that has most of a batch, where that is split over several."""
    batches = report.batches if settings.devices and cost.device_memory else None
    shares = [shard for shard in batches.shards if shard.memory] if batches is not None else []
    if not shares:
        return cost
    largest = max(shares, key=lambda shard: shard.samples)
    return replace(cost, batch_size=largest.samples, memory=largest.memory or cost.memory)


def may_concern(rule: base.CostRule, graph: ModelGraph, memory: int | None) -> bool:
    """Whether a rule wants the cost measured; a rule that fails to tell is asked again, with the cost."""
    try:
        return rule.concerned(graph, memory)
    except Exception:
        return True


def judge_batches(report: Report, graph: ModelGraph, settings: Settings) -> Iterator[Finding]:
    """What the selected rules see in the way a batch splits, where somebody asks about devices or names such a rule."""
    selected = list(base.select(settings.chosen, settings.ignore))
    rules = batch_rules(settings)
    batches = report.batches if rules or splits_batches(settings) else None
    if batches is None:
        return
    if batches.unjudged and batches.comparison is None:
        yield notice(
            "NC006",
            "whether samples mix could not be judged",
            help="give inputs whose first dimension is the batch, or a small configuration of the same architecture",
            evidence=batches.unjudged,
        )
    elif batches.unjudged:
        report.skipped.append(f"whether samples mix was not judged operation by operation: {batches.unjudged}")
    found = [finding for rule in rules for finding in guarded(rule, rule.check, batches, graph)]
    for rule in selected:
        if isinstance(rule, base.StaticRule):
            found += guarded(rule, rule.check_split, batches, graph)
    codes = {finding.code for finding in found}
    yield from (finding for finding in found if not codes.intersection(verdicts.causes_of(finding)))


def judge_samples(
    graph: ModelGraph, example: ExampleInputs, settings: Settings, known: Sequence[Finding]
) -> tuple[list[Finding], bool]:
    """What the selected rules see in a second batch size and in samples that are alone, if they see no batch that is split.

    What one of the `known` findings says already is not said again. The second: whether calls were seen to change nothing.
    """
    split = splits_batches(settings) or bool(batch_rules(settings))
    selected = [rule for rule in base.select(settings.chosen, settings.ignore) if isinstance(rule, base.BatchRule)]
    rules = unsaid([rule for rule in selected if rule.without_devices and not (split and rule.with_devices)], known)
    seen = looked_at(graph, example) if rules and settings.probe else None
    if seen is None or seen.batches is None:
        return [], seen is not None and seen.pure
    return [finding for rule in rules for finding in guarded(rule, rule.check, seen.batches, graph)], seen.pure


def unsaid(rules: Sequence[R], known: Sequence[Finding]) -> list[R]:
    """The rules that may say something new beside the findings that are known."""
    said = {found.code for found in known if found.severity >= Severity.WARNING}
    return [rule for rule in rules if not said.intersection(rule.said_by)]


def judge_calls(
    graph: ModelGraph, example: ExampleInputs, settings: Settings, gradients: Gradients | None, *, pure: bool
) -> list[Finding]:
    """What the selected rules see in calls of the model; `pure`: they are known to change nothing."""
    rules = [rule for rule in base.select(settings.chosen, settings.ignore) if isinstance(rule, base.CallRule)]
    calls = calls_of(graph, example, gradients, pure=pure) if rules and settings.probe else None
    return [] if calls is None else [finding for rule in rules for finding in guarded(rule, rule.check, calls, graph)]


def judge_step(
    report: Report,
    graph: ModelGraph,
    example: ExampleInputs,
    asked_of: Callable[[nn.Module], Asked],
    known: Sequence[Finding],
    settings: Settings,
) -> list[Finding]:
    """What the selected rules see in one step with the loss and the optimizer that were given, or that the file has.

    What one of the `known` findings says of the file already is not said again.
    """
    from netcheck.measure.training_step import stepped

    rules = [rule for rule in base.select(settings.chosen, settings.ignore) if isinstance(rule, base.StepRule)]
    asked = asked_of(graph.model) if rules else None
    if not asked:
        return []
    progress.phase("step")
    step = stepped(graph.model, example.args, example.kwargs, **asked._asdict(), seed=settings.seed, devices=settings.devices)
    report.step = step
    if step is None:
        return []
    report.skipped += step.remarks
    rules = unsaid(rules, known) if step.drawn else rules
    findings = [(rule, finding) for rule in rules for finding in guarded(rule, rule.check, step, graph)]
    return [on_drawn(found) if step.drawn and rule.of_numbers else found for rule, found in findings]


def on_drawn(finding: Finding) -> Finding:
    """What was measured with targets that netcheck made up: information."""
    return replace(finding, message=f"{finding.message}, with made-up targets", severity=Severity.INFO)


def batch_rules(settings: Settings) -> list[base.BatchRule]:
    """The rules on batches that are to run: all that are selected, or those that are named where nobody splits a batch."""
    rules = [r for r in base.select(settings.chosen, settings.ignore) if isinstance(r, base.BatchRule) and r.with_devices]
    if splits_batches(settings):
        return rules
    return [r for r in rules if any(base.match_length(r, selector) > 0 for selector in settings.chosen)]


def splits_batches(settings: Settings) -> bool:
    """Whether somebody asks about devices."""
    from netcheck.measure.accelerators import count_accelerators

    several = settings.batch_size is not None and count_accelerators() > 1
    return settings.devices is not None or several or launched() is not None


def guarded(rule: base.Rule, look: Callable[..., Iterable[Finding]], *material: Any) -> list[Finding]:
    """What a rule finds; if it raises, a finding that says so, and what the other rules found stands."""
    try:
        return list(look(*material))
    except Exception as error:
        return [
            notice(
                "NC008",
                f"the rule {rule.name} ({rule.code}) failed on this model; what the other rules found stands",
                help=f"report this together with the model; --ignore {rule.code} checks without the rule",
                evidence=f"{describe(error)} at {place_text(error)}",
            )
        ]


def finish(report: Report, findings: list[Finding], settings: Settings) -> Report:
    """Put the findings into `report`, without the notices that were ignored."""
    # `--select NC1` must not hide that a model could not be checked: only `--ignore` does.
    kept = {rule.code for rule in base.select(("ALL", *settings.chosen), settings.ignore)}
    file, _, symbol = report.target.rpartition(":")
    for found in contained(report, "reading comments", lambda: suppressions.suppressed(report, findings, settings), findings):
        if found.code in kept and not is_ignored(found, (report.model, symbol), file, settings):
            report.findings.append(found)
        elif report.summary is None:
            report.skipped.append(f"{found.message} ({found.code}, ignored)")
    report.findings = by_importance(report.findings)
    return report
