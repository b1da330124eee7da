"""What measurements make of suspicions: one cause, one finding.

judged(suspicion, gradients)          confirmed, cleared, or still suspected: the rule that made it decides
grouped(suspicions)                   patterns of one stretch, under what is cheapest to mend
unexplained(symptoms, suspicions)     those whose cause is not confirmed by a finding already
with_remedies(findings, gradients)    what was tried and helps, in the help of the finding that it mends
forgiven(finding)                     one level lower where the optimizer evens out what is wrong
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.figures.decades import held
from netcheck.findings import Finding, Severity, Verdict
from netcheck.rules import base
from netcheck.rules.helpers import advice, depth_budget, patterns

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients, Remedy


# What the remedies of the depth budget may mend.
MENDED = ("NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC601", "NC602", "NC606", "NC607", "NC610")


# Rules that name a pattern, by what it costs to mend.
CHEAPEST_FIRST = ("NC501", "NC101", "NC102", "NC301", "NC401")


def judged(suspicion: Finding, gradients: Gradients) -> Finding:
    """A static rule's finding with the verdict that its rule gives it."""
    rule = rule_of(suspicion)
    return rule.verdict(suspicion, gradients) if isinstance(rule, base.StaticRule) else suspicion


def grouped(suspicions: Sequence[Finding]) -> list[Finding]:
    """The suspicions; of patterns inside the depth budget, the others belong to the one that is cheapest to mend."""
    loose = [found for found in suspicions if patterns.is_pattern(found) and not found.belongs_to]
    if not loose:
        return list(suspicions)
    first = min(loose, key=lambda found: CHEAPEST_FIRST.index(found.code))
    return [replace(one, belongs_to=first.code) if one in loose and one is not first else one for one in suspicions]


def unexplained(symptoms: Sequence[Finding], suspicions: Sequence[Finding] = ()) -> list[Finding]:
    """Findings without those whose cause is known: a confirmed finding, one of the suspicions or itself a symptom."""
    known = {
        found.code
        for found in (*suspicions, *symptoms)
        if found.verdict is Verdict.CONFIRMED and found.severity >= Severity.WARNING
    }
    return [found for found in symptoms if not known.intersection(causes_of(found))]


def causes_of(found: Finding) -> tuple[str, ...]:
    """The codes of the rules that would explain a finding."""
    return rule_of(found).explained_by


def wants_remedy(found: Finding) -> bool:
    """Whether a finding says that a gradient, or what arrives at the head, is measured to be bad."""
    if found.help.startswith(advice.BEFORE_ALL):
        return False
    measured = found.verdict is Verdict.CONFIRMED or found.code == "NC610"  # a prediction, from measurements
    return found.code in MENDED and measured and found.severity >= Severity.WARNING


def redraw(found: Sequence[Finding]) -> bool:
    """Whether weights are constant: then nothing helps that does not draw them anew."""
    return any(one.code == "NC502" and wants_remedy(one) for one in found)


def with_remedies(found: Sequence[Finding], gradients: Gradients) -> list[Finding]:
    """The findings; in the help of the most severe that asks for a remedy, those that were tried and work."""
    worst = max(filter(wants_remedy, found), key=lambda one: one.severity, default=None)
    if worst is None or not gradients.remedies:
        return list(found)
    first = depth_budget.first(gradients.remedies, worst.code)
    instead = depth_budget.advised(first.change, worst.code, worst.help.partition("\nor: ")[0])  # not what was only estimated
    tried = [as_built(gradients), *(with_change(one, gradients) for one in gradients.remedies)]
    help = f"{instead}\ntried: {'; '.join(tried)}"
    return [replace(one, help=help) if one is worst else one for one in found]


def as_built(gradients: Gradients) -> str:
    """What was measured of a net as it is."""
    risk = f" and the risk not to train with SGD {gradients.risk.sgd:.2f}" if gradients.risk is not None else ""
    return f"as built the gain is {gradients.held_gain} decades{risk}"


def with_change(one: Remedy, gradients: Gradients) -> str:
    """What was measured of it with a change: "with a BatchNorm after each weight layer −0.3 and 0.04"."""
    risk = f" and {one.risk:.2f}" if one.risk is not None and gradients.risk is not None else ""
    return f"with {depth_budget.in_words(one.change)} {held(one.gain, gradients.pooled)}{risk}"


def forgiven(found: Finding) -> Finding:
    """A finding one level lower, if all that is wrong is the scale of gradients, which Adam divides out."""
    rule = rule_of(found)
    if not rule.scale_only or found.severity is Severity.INFO or found.evidence.unit != "decades":
        return found
    return replace(found, severity=Severity.WARNING if found.severity is Severity.ERROR else Severity.INFO)


def rule_of(found: Finding) -> base.Rule:
    """The rule that made a finding."""
    return base.find(found.code)
