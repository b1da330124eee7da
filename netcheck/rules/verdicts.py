"""What measurements make of suspicions: one cause, one finding.

judged(suspicion, gradients)          confirmed, cleared, or still suspected: the rule that made it decides
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
from netcheck.rules.helpers import depth_budget

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients


# What the remedies of the depth budget may mend.
MENDED = ("NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC601", "NC602", "NC606", "NC607")


def judged(suspicion: Finding, gradients: Gradients) -> Finding:
    """A static rule's finding with the verdict that its rule gives it."""
    rule = rule_of(suspicion)
    return rule.verdict(suspicion, gradients) if isinstance(rule, base.StaticRule) else suspicion


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
    return found.code in MENDED and found.verdict is Verdict.CONFIRMED and found.severity >= Severity.WARNING


def redraw(found: Sequence[Finding]) -> bool:
    """Whether weights are constant: then nothing helps that does not draw them anew."""
    return any(one.code == "NC502" and wants_remedy(one) for one in found)


def with_remedies(found: Sequence[Finding], gradients: Gradients) -> list[Finding]:
    """The findings; in the help of the most severe that asks for a remedy, those that were tried and work."""
    worst = max(filter(wants_remedy, found), key=lambda one: one.severity, default=None)
    if worst is None or not gradients.remedies:
        return list(found)
    gains = [
        f"with {depth_budget.in_words(one.change)} {depth_budget.decades(held(one.gain, gradients.pooled))}"
        for one in gradients.remedies
    ]
    before = depth_budget.decades(gradients.held_gain)
    advice = worst.help.partition("\nor: ")[0]  # what was estimated, where it is measured now
    help = f"{advice}\ntried: the gain is {before} decades as built; {', '.join(gains)}"
    return [replace(one, help=help) if one is worst else one for one in found]


def forgiven(found: Finding) -> Finding:
    """A finding one level lower, if all that is wrong is the scale of gradients, which Adam divides out."""
    rule = rule_of(found)
    if not rule.scale_only or found.severity is Severity.INFO or found.evidence.unit != "decades":
        return found
    return replace(found, severity=Severity.WARNING if found.severity is Severity.ERROR else Severity.INFO)


def rule_of(found: Finding) -> base.Rule:
    """The rule that made a finding."""
    return base.find(found.code)
