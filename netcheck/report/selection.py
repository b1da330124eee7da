"""Which findings a report shows and of which model, how often each rule found something, and what was not checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from netcheck.figures.unchecked import Reason, advice
from netcheck.findings import Finding, Report, Severity, by_importance


class Entry(NamedTuple):
    """A finding and the report that it stands in."""

    report: Report
    finding: Finding


class Count(NamedTuple):
    """How often a rule found something with one severity."""

    code: str
    name: str
    severity: Severity
    findings: int
    models: int


def as_bad_as(reports: Iterable[Report], least: Severity) -> list[Report]:
    """The reports with no findings but those that are as bad as `least` or worse."""
    return [one if least is Severity.INFO else with_worst(one, least) for one in reports]


def with_worst(report: Report, least: Severity) -> Report:
    """A report with no findings but the worst. Of those that belong to one that is not left, each is by itself."""
    return replace(report, findings=[found for found in report.findings if found.severity >= least])


def entries(reports: Iterable[Report], *, cleared: bool = False) -> Iterator[Entry]:
    """The findings of all models, model by model, worst first; `cleared` ones only if asked for."""
    for report in reports:
        for found in by_importance(report.findings):
            if found.counts or cleared:
                yield Entry(report, found)


def documentation_of(code: str) -> str:
    """The command that prints what stands behind a finding."""
    return f"netcheck rule {code}"


def worst_first(reports: Iterable[Report]) -> list[Entry]:
    """The findings that count, of all models, worst first; equals keep their order."""
    return sorted(entries(reports), key=lambda entry: -entry.finding.severity.rank)


def by_cause(findings: Iterable[Finding]) -> list[tuple[Finding, list[Finding]]]:
    """The findings of one model, each with the further patterns that belong to it; one whose cause is not shown is by itself."""
    findings = list(findings)
    causes = {found.code: found for found in reversed(findings) if not found.belongs_to and found.counts}
    parts: dict[int, list[Finding]] = {}
    for found in findings:
        if found.belongs_to in causes and found.counts:
            parts.setdefault(id(causes[found.belongs_to]), []).append(found)
    under = {id(part) for group in parts.values() for part in group}
    return [(found, parts.get(id(found), [])) for found in findings if id(found) not in under]


def statistics(reports: Sequence[Report]) -> list[Count]:
    """How often each rule found something that counts: the most frequent first, then by code."""
    found = [(entry.finding.code, entry.finding.name, entry.finding.severity, id(entry.report)) for entry in entries(reports)]
    findings = Counter(one[:3] for one in found)
    models = Counter(one[:3] for one in set(found))
    rows = [Count(*key, number, models[key]) for key, number in findings.items()]
    return sorted(rows, key=lambda row: (-row.findings, row.code, -row.severity.rank))


class Group(NamedTuple):
    """Models that were not checked for one reason."""

    reason: Reason
    reports: list[Report]
    advice: str  # the one thing to do about them


def not_checked(reports: Iterable[Report]) -> list[Group]:
    """The models that were not checked, by reason, the most frequent first."""
    groups: dict[Reason, list[Report]] = {}
    for report in reports:
        if report.unchecked is not None:
            groups.setdefault(report.unchecked.reason, []).append(report)
    found = [Group(key, members, advice([one.unchecked for one in members if one.unchecked])) for key, members in groups.items()]
    return sorted(found, key=lambda one: -len(one.reports))
