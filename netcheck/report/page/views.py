"""From reports to what the page says: plain data, everything already chosen, shortened and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from netcheck.figures.gradients import NodeProfile
from netcheck.findings import Evidence, Finding, Location, Report, Severity, Verdict, by_importance
from netcheck.report import headline, omissions, suggestion, text
from netcheck.report.drawing import figures as drawing
from netcheck.report.page import charts, markup, memory, outline, terms
from netcheck.report.page import split as splitting
from netcheck.report.page.source import SourceLine, lines_at
from netcheck.report.profile import numbers
from netcheck.report.terminal import Painter, shorten
from netcheck.rules import base

PLAIN = Painter(False)
MOST_PLACES = 12  # further places of one finding
LONGEST = 2000  # characters of one message or help
VERDICTS = {
    Verdict.SUSPECTED: "an estimate from the structure and the weights",
    Verdict.CONFIRMED: "a fact of this model, not an estimate",
    Verdict.CLEARED: "measured to do no harm here, so it fails nothing",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the source: what stands in front of the lines, the lines, and the function that holds them."""

    title: str
    lines: tuple[SourceLine, ...]
    function: str


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number of decades beside its limits, from 0 (left) to 1 (right)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding."""

    anchor: str
    code: str
    name: str
    severity: str
    verdict: str
    verdict_text: str
    counts: bool
    message: str
    help: tuple[tuple[str, bool], ...]  # pieces, and whether each is code
    evidence: str
    gauge: Gauge | None
    modules: str
    count: int
    place: Place | None
    others: tuple[tuple[str, str], ...]  # place, code
    left_out: int
    fix: str  # what its fix does, or why there is none
    diff: tuple[tuple[str, str], ...]  # lines of it, each with "+", "-" or ""


@dataclass(frozen=True, slots=True)
class HeadlineView:
    """What a person reads first: the sentence, what to do (pieces, and whether each is code), how bad it is ("" for well)."""

    sentence: str
    cure: tuple[tuple[str, bool], ...]
    severity: str
    others: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model."""

    anchor: str
    name: str
    target: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[FindingView, ...]
    tally: tuple[tuple[str, int], ...]  # severity, number
    headline: HeadlineView | None
    well: tuple[str, ...]
    chart: charts.Chart | None
    measured: tuple[str, ...]
    drawing: drawing.Drawing | None
    tree: tuple[outline.Row, ...]
    split: splitting.Split | None
    cost: memory.Figures | None
    failed: bool
    reason: str  # why it was not checked; "" if it was


@dataclass(frozen=True, slots=True)
class RuleView:
    """The documentation of a rule that found something."""

    code: str
    name: str
    html: str


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page."""

    models: tuple[ModelView, ...]
    tally: tuple[tuple[str, int], ...]
    closing: tuple[str, ...]
    rules: tuple[RuleView, ...]
    terms: tuple[terms.TermView, ...]

    @property
    def clean(self) -> int:
        """How many models there are without findings."""
        return sum(not model.tally and not model.failed for model in self.models)


def page_of(reports: Sequence[Report], root: Path) -> PageView:
    """All reports; a file without any model is only named at the end.

    Args:
        reports: one a model.
        root: the directory that paths are shown relative to.
    """
    shown = worst_first(report for report in reports if report.summary is not None or report.findings or report.unchecked)
    found = {finding.code: finding for report in shown for finding in report.findings}
    return PageView(
        models=tuple(model_view(report, f"model-{i}", root) for i, report in enumerate(shown, 1)),
        tally=tally(finding for report in shown for finding in report.findings),
        closing=tuple(shorten(line, 1000) for line in text.closing(reports, PLAIN, root, verbose=False).splitlines()),
        rules=tuple(rule_view(code) for code in sorted(found)),
        terms=terms.views(),
    )


def worst_first(reports: Iterable[Report]) -> list[Report]:
    """The reports with the worst findings in front; equals keep their order."""
    return sorted(reports, key=lambda one: -max([found.severity.rank for found in one.findings if found.counts], default=-1))


def codes_by_operation(profile: Sequence[NodeProfile], findings: Sequence[Finding]) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each operation the findings about it, or about its module where they name no operation, as (code, severity)."""
    inside: dict[str, list[str]] = {}
    for one in profile:
        inside.setdefault(one.path, []).append(one.node)
    found: dict[str, list[tuple[str, str]]] = {}
    for about in findings:
        for name in about.operations or (name for path in about.modules for name in inside.get(path, ())):
            found.setdefault(name, []).append((about.code, about.severity.value))
    return {name: outline.merged(codes) for name, codes in found.items()}


def model_view(report: Report, anchor: str, root: Path) -> ModelView:
    """One report."""
    findings = by_importance(report.findings)
    marked = [finding for finding in findings if finding.counts]
    target = text.display_path(report.target, root)
    gradients = report.gradients
    chart, measured = None, list[str]()
    if gradients is not None:
        codes = codes_by_operation(gradients.profile, marked)
        chart = charts.profile(gradients, lambda one: codes.get(one.node, ()))
        measured = [f"Gain {numbers(gradients)}.", f"Measured in {gradients.conditions}.", *gradients.remarks]
    return ModelView(
        anchor=anchor,
        name=target if report.target == report.model else text.name_of(report.model),
        target="" if report.target == report.model else target,
        facts=tuple(facts(report)),
        findings=tuple(finding_view(f, f"{anchor}-finding-{i}", root) for i, f in enumerate(findings, 1)),
        tally=tally(findings),
        headline=headline_view(report),
        well=tuple(headline.well(report)),
        chart=chart,
        measured=tuple(measured),
        drawing=drawing.drawing_of(report, anchor),
        tree=outline.outline(report.summary.layers, marked) if report.summary else (),
        split=split_view(report),
        cost=memory.figures(report.cost) if report.cost is not None else None,
        failed=report.summary is None,
        reason=report.unchecked.reason.value if report.unchecked else "",
    )


def headline_view(report: Report) -> HeadlineView | None:
    """The first sentence; None where nothing is known of a model."""
    first = headline.headline(report)
    if first is None:
        return None
    severity = "" if first.severity is None else first.severity.value
    return HeadlineView(first.sentence, pieces(first.cure), severity, first.others)


def split_view(report: Report) -> splitting.Split | None:
    """How the batch splits, where that was worked out."""
    memory_of_device = report.cost.device_memory if report.cost is not None else None
    return None if report.known_batches is None else splitting.split(report.known_batches, memory_of_device)


def facts(report: Report) -> Iterable[tuple[str, str]]:
    """What was checked, as pairs of a label and a text."""
    if report.inputs:
        yield "inputs", shorten(report.inputs, 500)
    if (summary := report.summary) is not None:
        shortest = f", {summary.plain_depth} on the shortest way" if summary.plain_depth != summary.depth else ""
        yield "operations", f"{summary.operations:,}"
        yield "weight layers", f"{summary.weight_layers:,}"
        yield "parameters", f"{summary.parameters:,}"
        yield "depth", f"{summary.depth}{shortest}"
    for label, told in omissions.lines(report):
        yield label, shorten(told, 1000)
    for reason in report.skipped:
        yield "not checked", shorten(reason, 500)


def finding_view(found: Finding, anchor: str, root: Path) -> FindingView:
    """One finding."""
    modules = [module for module in found.modules if module]
    others = found.locations[1 : 1 + MOST_PLACES]
    return FindingView(
        anchor=anchor,
        code=found.code,
        name=found.name,
        severity=found.severity.value,
        verdict=found.verdict.value,
        verdict_text=VERDICTS[found.verdict],
        counts=found.counts,
        message=shorten(found.message, LONGEST),
        help=pieces(shorten(found.help, LONGEST)),
        evidence=shorten(found.evidence.text, LONGEST) + (f"; belongs to {found.belongs_to}" if found.belongs_to else ""),
        gauge=gauge(found.evidence),
        modules=text.abbreviate(modules) if modules else "",
        count=found.count,
        place=place_view(found.location, root) if found.location else None,
        others=tuple(other(place, root) for place in others),
        left_out=len(found.locations) - 1 - len(others) if found.locations else 0,
        fix=shorten(suggestion.note(found), LONGEST),
        diff=tuple(diff_lines(suggestion.diff(found, root))),
    )


def diff_lines(diff: str) -> Iterator[tuple[str, str]]:
    """The lines of a diff behind the names of its files, and whether each comes or goes."""
    for line in diff.splitlines():
        if not line.startswith(("---", "+++")):
            yield line, line[:1] if line[:1] in ("+", "-") else ""


def place_view(place: Location, root: Path) -> Place:
    """The place to look at first."""
    return Place(text.place_text(place, root), tuple(lines_at(place, root)), shorten(place.function))


def other(place: Location, root: Path) -> tuple[str, str]:
    """A further place, and the code that stands there."""
    where, _, code = text.place_with_code(place, root).partition("  ")
    return where, code


def pieces(help: str) -> tuple[tuple[str, bool], ...]:
    """A help cut at its backticks: what stands between two of them is code."""
    parts = help.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return ((help, False),)
    return tuple((part, bool(index % 2)) for index, part in enumerate(parts) if part)


def gauge(evidence: Evidence) -> Gauge | None:
    """Where a number of decades lies beside its limits; None for other units and what has no number."""
    value, limit = evidence.value, evidence.limit
    if evidence.unit != "decades" or not limit or not 0 < abs(limit) < 1e6 or not abs(value) < 1e6:
        return None
    reach = 1.15 * max(abs(value), abs(limit))
    return Gauge(*(round(0.5 + number / (2 * reach), 4) for number in (value, -abs(limit), abs(limit))))


def tally(findings: Iterable[Finding]) -> tuple[tuple[str, int], ...]:
    """How many findings of each severity count, the worst severity first."""
    counts = [one.severity for one in findings if one.counts]
    return tuple((severity.value, counts.count(severity)) for severity in reversed(Severity) if severity in counts)


def rule_view(code: str) -> RuleView:
    """The documentation of a rule."""
    rule = base.find(code)
    return RuleView(rule.code, rule.name, markup.to_html(rule.documentation, heading=3))
