"""Whether an edit does what it is to do: the edited models are checked in child processes, on the inputs that they had before.

proposals --edits--> texts --laid over the files--> check_all(targets) --> reports
                                                                             |
holds if, of every model that runs through what was edited,                  |
    what was to be mended is gone,                 <-------------------------+
    no other warning came,
    it runs on the same inputs,
    and, where all is said to be safe, outputs and gradients are the same in the same state
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from netcheck import engine
from netcheck.compare.comparison import findings
from netcheck.figures.fixes import Edit
from netcheck.findings import Finding, Location, Report, Severity
from netcheck.fix.proposals import Proposal
from netcheck.fix.sources import Sources
from netcheck.settings import Settings
from netcheck.source.edits import NotEditable, moved
from netcheck.source.overlay import laid_over
from netcheck.source.scopes import first_line
from netcheck.source.suppress import same_file
from netcheck.source.targets import Target

Checks = Callable[[Sequence[Target]], list[Report]]


@dataclass(frozen=True)
class Proof:
    """What came of a try.

    Attributes:
        problem: why it does not hold: the rest of a sentence about the edited model; "" if it holds.
        sources: the files with the edits.
        differs: whether the one problem is that it computes something else.
        reports: on the models of the run as they are then, in their order; those that the edits do not touch are as before, but
            for lines that have moved.
    """

    problem: str
    sources: Sources
    reports: list[Report]
    differs: bool = False


@dataclass(frozen=True)
class Prover:
    """Tries edits.

    Attributes:
        targets: the models by name.
        settings: the run's.
        check: gives the report on each target.
    """

    targets: Mapping[str, Target]
    settings: Settings
    check: Checks

    def prove(self, proposed: Sequence[Proposal], reports: Sequence[Report], sources: Sources) -> Proof:
        """Try some edits, all together."""
        edits = sorted({edit for one in proposed for edit in one.edits})
        try:
            after = sources.edited(edits)
        except NotEditable as error:
            return Proof(f"the file {error}", sources, list(reports))
        scopes = list(scopes_of(edits, sources))
        made: list[Report] = []
        touched = [one for one in reports if concerns(one, scopes, proposed)]
        models = [one for one in touched if one.target in self.targets]
        edited = [self.edited(one, sources, after) for one in models]
        checked = self.check(edited) if edited else []
        new = dict(zip(map(id, models), checked, strict=True))
        safe = all(one.safe for one in proposed)
        for report in reports:
            if report.target in self.targets:
                later = new.get(id(report))
            else:
                later = self.of_file(report, after) if report in touched else None
            if later is None:
                made.append(with_moved_lines(report, edits))
                continue
            mended = [found for one in proposed for found in one.findings_of(report)]
            if problem := problem_of(report, later, mended):
                return Proof(problem, sources, list(reports))
            if safe and later.sameness is not None and not later.sameness.holds:
                return Proof(later.sameness.difference, sources, list(reports), differs=True)
            made.append(later)
        return Proof("", after, made)

    def edited(self, report: Report, sources: Sources, after: Sources) -> Target:
        """A model with its files after the edits, to be compared with it before, if it ran."""
        before = sources.overlay if report.summary is not None else None
        return replace(self.targets[report.target], texts=after.overlay, before=before)

    def of_file(self, report: Report, after: Sources) -> Report:
        """What is then found in how a file trains."""
        with laid_over(after.overlay):
            found = engine.training_reports([report.target], self.settings)
        return found[0] if found else Report(report.model, target=report.target)


def scopes_of(edits: Iterable[Edit], sources: Sources) -> Iterator[tuple[str, int, int]]:
    """The file, first and last line of each class, function or statement at the top of a file that is edited."""
    for edit in edits:
        for statement in sources.tree(edit.file).body:
            first, last = first_line(statement), statement.end_lineno or statement.lineno
            if first <= edit.line <= last:
                yield edit.file, first, last


def concerns(report: Report, scopes: Sequence[tuple[str, int, int]], proposed: Sequence[Proposal]) -> bool:
    """Whether a model runs through one of these lines, or is to be mended."""
    if any(one.findings_of(report) for one in proposed):
        return True
    places = {place for layer in (report.summary.layers if report.summary else ()) if (place := layer.place) is not None}
    places |= {place for found in report.findings for place in found.locations}
    return report.summary is not None and any(
        same_file(place.file, file) and first <= place.line <= last for place in places for file, first, last in scopes
    )


def problem_of(before: Report, after: Report, mended: Sequence[Finding]) -> str:
    """Why an edit does not do for one model; "" if it does."""
    if before.summary is not None and after.summary is None:
        told = next(iter(after.findings), None)
        return f"it cannot be checked any more: {told.message if told else 'nothing is known of it'}"
    came, went, _ = findings([*before.findings, *before.known], after.findings)
    stays = next((found for found in mended if not any(found is gone for gone in went)), None)
    if stays is not None:
        return "the finding stays"
    if before.summary is None and after.summary is not None:
        return ""  # all that is said of it now is new
    worse = next((found for found in came if found.severity >= Severity.WARNING), None)
    if worse is not None:
        return f"it then has {worse.code} ({worse.name}): {worse.message}"
    return ""


def with_moved_lines(report: Report, edits: Sequence[Edit]) -> Report:
    """A report on a model that edits elsewhere in its files do not touch: its places are where they are now."""

    def place(one: Location) -> Location:
        return moved(one, edits)

    def finding(one: Finding) -> Finding:
        return replace(one, locations=tuple(map(place, one.locations)))

    if not any(same_file(one.file, edit.file) for one in places_of(report) for edit in edits):
        return report
    summary = report.summary and replace(
        report.summary, layers=tuple(replace(each, place=each.place and place(each.place)) for each in report.summary.layers)
    )
    return replace(report, findings=[*map(finding, report.findings)], summary=summary)


def places_of(report: Report) -> Iterator[Location]:
    """The places of a report's findings and layers."""
    for found in report.findings:
        yield from found.locations
    yield from (layer.place for layer in (report.summary.layers if report.summary else ()) if layer.place is not None)
