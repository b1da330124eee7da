"""Which findings a report shows, with the model that each belongs to, and how often each rule found something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

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


def entries(reports: Iterable[Report], *, cleared: bool = False) -> Iterator[Entry]:
    """The findings of all models, model by model, worst first; `cleared` ones only if asked for."""
    for report in reports:
        for found in by_importance(report.findings):
            if found.counts or cleared:
                yield Entry(report, found)


def worst_first(reports: Iterable[Report]) -> list[Entry]:
    """The findings that count, of all models, worst first; equals keep their order."""
    return sorted(entries(reports), key=lambda entry: -entry.finding.severity.rank)


def statistics(reports: Sequence[Report]) -> list[Count]:
    """How often each rule found something that counts: the most frequent first, then by code."""
    found = [(entry.finding.code, entry.finding.name, entry.finding.severity, id(entry.report)) for entry in entries(reports)]
    findings = Counter(one[:3] for one in found)
    models = Counter(one[:3] for one in set(found))
    rows = [Count(*key, number, models[key]) for key, number in findings.items()]
    return sorted(rows, key=lambda row: (-row.findings, row.code, -row.severity.rank))


def could_not_check(report: Report) -> bool:
    """Whether a model was not traced, and a finding says why."""
    return report.summary is None and bool(report.findings)
