"""What measurements make of suspicions: one cause, one finding.

judged(suspicion, gradients)          confirmed, cleared, or still suspected: the rule that made it decides
unexplained(measured, suspicions)     measured symptoms, without those whose confirmed cause is a finding already
forgiven(finding)                     one level lower where the optimizer evens out what is wrong
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.findings import Finding, Severity, Verdict
from netcheck.rules import base

if TYPE_CHECKING:
    from netcheck.measure.measurement import Gradients


def judged(suspicion: Finding, gradients: Gradients) -> Finding:
    """A static rule's finding with the verdict that its rule gives it."""
    rule = rule_of(suspicion)
    return rule.verdict(suspicion, gradients) if isinstance(rule, base.StaticRule) else suspicion


def unexplained(measured: Sequence[Finding], suspicions: Sequence[Finding]) -> list[Finding]:
    """Measured findings without those whose cause is known: a confirmed finding, static or itself measured."""
    known = {
        found.code
        for found in (*suspicions, *measured)
        if found.verdict is Verdict.CONFIRMED and found.severity >= Severity.WARNING
    }
    return [found for found in measured if not known.intersection(causes_of(found))]


def causes_of(found: Finding) -> tuple[str, ...]:
    """The codes of the rules that would explain a measured finding."""
    rule = rule_of(found)
    return rule.explained_by if isinstance(rule, base.MeasuredRule | base.BatchRule) else ()


def forgiven(found: Finding) -> Finding:
    """A finding one level lower, if all that is wrong is the scale of gradients, which Adam divides out."""
    rule = rule_of(found)
    if not rule.scale_only or found.severity is Severity.INFO or found.evidence.unit != "decades":
        return found
    return replace(found, severity=Severity.WARNING if found.severity is Severity.ERROR else Severity.INFO)


def rule_of(found: Finding) -> base.Rule:
    """The rule that made a finding."""
    return base.find(found.code)
