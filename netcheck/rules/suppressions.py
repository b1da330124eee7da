"""Findings that comments in the source suppress, and comments that suppress nothing (NC009).

suppressed(findings, ...)   the findings that are left; the others, and what each comment did, go into the report
unused(reports, ...)        what no model of a run needed: a comment may be there for one model of several
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from netcheck.findings import Evidence, Finding, Location, Report, Suppression, by_importance
from netcheck.rules import base
from netcheck.rules.ignores import is_ignored, names_rule
from netcheck.settings import Settings
from netcheck.source.spots import spot
from netcheck.source.suppress import Comment, comments, same_file

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

EVERYTHING = ""  # the selector of a comment without brackets


@dataclass(eq=False)
class Remark:
    """A comment, and which of its selectors have suppressed something."""

    comment: Comment
    used: set[str] = field(default_factory=set)

    @property
    def selectors(self) -> tuple[str, ...]:
        """Those of the comment, or the one that stands for all rules."""
        return self.comment.selectors or (EVERYTHING,)

    def fitting(self, code: str) -> list[str]:
        """The selectors that name a rule."""
        return [one for one in self.selectors if names_or_all(code, (one,))]


def suppressed(report: Report, findings: Sequence[Finding], settings: Settings) -> list[Finding]:
    """The findings that no comment suppresses; fills in what `report` says of the others, and of the comments.

    A comment suppresses a finding if it stands at the place that the finding shows first, at the class around that place,
    or at the class, variable or function that the model is; or, with others, at every part that the finding is about: at
    the line that built the part or at the line of forward that runs it.
    """
    graph = report.graph
    places = [place for found in findings for place in found.locations]
    files = dict.fromkeys([*(place.file for place in places), *(source_files(graph) if graph else ())])
    remarks = [Remark(comment) for file in files for comment in comments(file)]
    if not remarks:
        return list(findings)
    top = [] if graph is None else [place for place in (graph.built_at(""), class_place(graph)) if place is not None]
    kept = [found for found in findings if not hits(found, graph, remarks, top)]
    report.suppressed = [found for found in findings if found not in kept]
    if report.summary is None:
        report.skipped += [f"{found.message} ({found.code}, suppressed)" for found in report.suppressed]
    report.suppressions = accounts(remarks, report, top, settings)
    return kept


def hits(found: Finding, graph: ModelGraph | None, remarks: Sequence[Remark], top: Sequence[Location]) -> bool:
    """Whether comments suppress a finding; those that do are marked as used."""
    fitting = [remark for remark in remarks if remark.fitting(found.code)]
    whole = [remark for remark in fitting if any(map(remark.comment.stands_at, top))]
    first = [remark for remark in fitting if found.location and remark.comment.stands_at(found.location)]
    rows = [[one for one in fitting if any(map(one.comment.stands_at, row))] for row in parts(found, graph)]
    using = [*whole, *first] or ([one for row in rows for one in row] if rows and all(rows) else [])
    for remark in using:
        remark.used.update(remark.fitting(found.code))
    return bool(using)


def parts(found: Finding, graph: ModelGraph | None) -> list[tuple[Location, ...]]:
    """For each part that a finding is about, the places of which one is enough: built here, or run there."""
    nodes = [] if graph is None else [node for node in graph if node.module is not None and node.path in found.modules]
    pairs = [tuple(place for place in (node.built_at, node.called_at) if place is not None) for node in nodes]
    in_pairs = {place for pair in pairs for place in pair}
    return [pair for pair in pairs if pair] + [(place,) for place in found.locations if place not in in_pairs]


def class_place(graph: ModelGraph) -> Location | None:
    """The first line of the model's class, where a variable or a function that built it has a place of its own."""
    from netcheck.source.locate import locate_definition
    from netcheck.source.places import class_definitions

    kind: Any = type(graph.model)
    return next(filter(None, map(locate_definition, class_definitions(kind)[:1])), None)


def source_files(graph: ModelGraph) -> list[str]:
    """The files of a model's own definition and of its modules' classes, without those of installed packages."""
    from netcheck.load.raised import is_installed
    from netcheck.source.places import class_file

    files = {graph.origin.file} if graph.origin else set()
    for kind in {type(module) for module in graph.model.modules()}:
        if kind.__module__.partition(".")[0] != "torch":
            files.add(class_file(kind) or "")
    return sorted(file for file in files if file and not is_installed(file))


def accounts(remarks: Sequence[Remark], report: Report, top: Sequence[Location], settings: Settings) -> list[Suppression]:
    """What each selector of each comment did for one model, as plain data."""
    judged = [rule.code for rule in base.select(settings.chosen, settings.ignore) if judges(rule, report)]
    places = places_of(report.graph) if report.graph is not None else []
    told = []
    for remark in remarks:
        comment = remark.comment
        first, last = comment.scope
        of_file = [place.line for place in places if same_file(place.file, comment.file)]
        reached = any(first <= line <= last for line in of_file)
        own = any(same_file(place.file, comment.file) and first <= place.line <= last for place in top)
        for selector in remark.selectors:
            known = selector == EVERYTHING or any(names_rule(rule.code, (selector,)) for rule in base.registry())
            able = not known or selector == EVERYTHING or any(names_rule(code, (selector,)) for code in judged)
            told.append(
                Suppression(
                    os.path.abspath(comment.file),
                    comment.line,
                    comment.column,
                    selector,
                    used=selector in remark.used,
                    reached=reached and able,
                    own=own,
                    known=known,
                )
            )
    return told


def judges(rule: base.Rule, report: Report) -> bool:
    """Whether a rule had what it reads."""
    if isinstance(rule, base.TrainingRule):
        return False  # it reads files, not models
    return not isinstance(rule, base.MeasuredRule) or report.gradients is not None


def places_of(graph: ModelGraph) -> list[Location]:
    """Everywhere that a model was built or runs."""
    found = [place for node in graph for place in (node.built_at, node.called_at)]
    return list(dict.fromkeys(place for place in found if place is not None))


def unused(reports: Sequence[Report], whole: Collection[str], settings: Settings) -> None:
    """Add a finding NC009 for each comment, or part of one, that suppresses nothing in any of a run's models.

    Args:
        reports: all of the run.
        whole: the files all of whose models were checked. In others only what stands in the model's own class is
            judged: the rest may be there for models that this run did not see.
        settings: the run's settings.
    """
    rule = base.find("NC009")
    if rule not in base.select(("ALL", *settings.chosen), settings.ignore):
        return
    complete = {os.path.realpath(file) for file in whole}
    complete -= {os.path.realpath(r.target.rpartition(":")[0]) for r in reports if r.summary is None and r.findings}
    told: dict[tuple[str, int, int], dict[str, list[tuple[Report, Suppression]]]] = {}
    for report in reports:
        for one in report.suppressions:
            told.setdefault((one.file, one.line, one.column), {}).setdefault(one.selector, []).append((report, one))
    for place, selectors in told.items():
        idle = {
            selector: next(report for report, one in each if one.reached)
            for selector, each in selectors.items()
            if is_idle([one for _, one in each], os.path.realpath(place[0]) in complete)
        }
        if idle:
            report = next(iter(idle.values()))
            unknown = [s for s in idle if not selectors[s][0][1].known]
            found = idle_finding(rule, Location(*place), list(idle), len(idle) == len(selectors), unknown)
            if (meant := inside_of(found.location, reports, list(idle))) is not None:
                ends = f"{spot(meant.file, meant.line)} or {spot(meant.file, meant.end_line or meant.line)}"
                found = replace(found, help=f"put it on {ends}, where the expression begins or ends")
            if not is_ignored(found, (report.model,), place[0], settings):
                report.findings = by_importance([*report.findings, found])


def inside_of(comment: Location | None, reports: Sequence[Report], selectors: Sequence[str]) -> Location | None:
    """The place of a finding that a comment would suppress, did it not stand between the place's first and last line."""
    for report in reports:
        for found in report.findings:
            place = found.location
            if comment is None or place is None or not names_or_all(found.code, selectors):
                continue
            if place.line < comment.line < (place.end_line or 0) and same_file(place.file, comment.file):
                return place
    return None


def names_or_all(code: str, selectors: Sequence[str]) -> bool:
    """Whether one of these selectors of comments names a rule."""
    return any(one == EVERYTHING or names_rule(code, (one,)) for one in selectors)


def is_idle(each: Sequence[Suppression], complete: bool) -> bool:
    """Whether a selector suppressed nothing although all models that it may be there for were checked."""
    return not any(one.used for one in each) and any(one.reached for one in each) and (complete or any(one.own for one in each))


def idle_finding(rule: base.Rule, place: Location, idle: Sequence[str], entirely: bool, unknown: Sequence[str]) -> Finding:
    """The finding for selectors of one comment that suppress nothing."""
    names = ", ".join(idle)
    what = "the comment" if entirely else f"{names} in this comment"
    message = f"{what} suppresses nothing" if len(idle) == 1 or entirely else f"{what} suppress nothing"
    if unknown:
        message += f": there is no rule {unknown[0]!r}{base.suggestion(unknown[0]).partition(': `')[0]}"
    of = f" of {names}" if names else ""
    return rule.finding(
        message,
        help="remove the comment" if entirely else f"remove {names} from it",
        evidence=Evidence(0.0, "findings", f"0 findings{of} there, in the models that were checked", limit=1.0),
        places=(place,),
    )
