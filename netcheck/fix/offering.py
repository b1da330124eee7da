"""Which edits hold: proposals are tried, all together where they do, else in halves, until none is left that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from netcheck.figures.fixes import Edit, Fix
from netcheck.findings import Finding, Report
from netcheck.fix.editor import editors
from netcheck.fix.proof import Proof, Prover
from netcheck.fix.proposals import Key, Proposal, fixable, key_of, proposals, side_by_side
from netcheck.fix.sources import Sources
from netcheck.settings import Settings
from netcheck.source.overlay import Texts
from netcheck.source.targets import Target

GOES_WITH = "mended by the fix of another finding"
MOST_TRIES = 100  # for an editor that mends and brings back in turn


@dataclass(frozen=True)
class Structure:
    """Another structure that holds, beside all else that does.

    Attributes:
        proposal: what was tried.
        before: the files without it.
        after: the files with it.
        reports: on the models as they would be.
    """

    proposal: Proposal
    before: Texts
    after: Texts
    reports: list[Report]


@dataclass(frozen=True)
class Offer:
    """What was found to hold.

    Attributes:
        reports: those before, whose findings have their fixes now, or say why there is none.
        texts: the files that the fixes change, and what they would hold.
        originals: what they held when they were read.
        after: the reports on the models as they would be.
        left: findings for which there may be a fix that changes what the model computes, and that was not asked for.
        structures: what would make another network of it and holds, which is never applied.
    """

    reports: list[Report]
    texts: Texts
    originals: Texts
    after: list[Report]
    left: int
    structures: Sequence[Structure] = ()


def offered(
    reports: Sequence[Report],
    targets: Iterable[Target],
    files: Iterable[str],
    settings: Settings,
    check: Callable[[Sequence[Target]], list[Report]],
) -> Offer:
    """Find the edits that mend what was found, and hold.

    Args:
        reports: on all that was checked.
        targets: the models.
        files: those that may be edited.
        settings: the run's: whether unsafe edits are tried too.
        check: gives reports on targets.
    """
    search = Search(Prover({one.name: one for one in targets}, settings, check), list(reports), Sources(files))
    held = -1
    while len(search.held) > held:  # what holds may be what others waited for: a second run finds nothing new
        held = len(search.held)
        search.refused.clear()
        search.run(safe=True)
        if settings.unsafe_fixes:
            search.run(safe=False)
    search.restructure()
    left = 0 if settings.unsafe_fixes else sum(len(one.cases) for one in search.proposals(safe=False))
    told = [search.told(report) for report in reports]
    return Offer(told, search.sources.overlay, search.sources.originals, search.reports, left, search.structures)


class Search:
    """The state of a search: the files and reports after what holds so far, and what does not."""

    def __init__(self, prover: Prover, reports: list[Report], sources: Sources) -> None:
        self.prover = prover
        self.first = reports  # before all edits
        self.reports = reports
        self.sources = sources
        self.refused: dict[Key, str] = {}
        self.unsafe: set[Key] = set()  # what was said to be safe, and changes outputs
        self.held: dict[Key, Proposal] = {}
        self.structures: list[Structure] = []
        self.steps: list[tuple[Sources, list[Edit]]] = []  # the files before each step that holds, and its edits

    def proposals(self, *, safe: bool) -> list[Proposal]:
        """What is left to try."""
        return side_by_side(list(proposals(self.reports, self.sources, self.refused, self.unsafe, safe=safe)))

    def run(self, *, safe: bool) -> None:
        """Try all proposals of a kind."""
        most = MOST_TRIES
        for _ in range(MOST_TRIES):
            tried = self.proposals(safe=safe)[:most]
            if not tried:
                return
            proof = self.prover.prove(tried, self.reports, self.sources)
            if not proof.problem:
                self.held |= {key_of(report, found): self.as_first(one) for one in tried for report, found in one.cases}
                self.steps.append((self.sources, [edit for one in tried for edit in one.edits]))
                self.reports, self.sources = proof.reports, proof.sources
                most = MOST_TRIES
            elif len(tried) == 1:
                self.give_up(tried[0], proof)
                most = MOST_TRIES
            else:
                most = len(tried) // 2

    def restructure(self) -> None:
        """Try what makes another network of it, each by itself, on the files with all that holds."""
        for one in proposals(self.reports, self.sources, self.refused, safe=False, structural=True):
            proof = self.prover.prove([one], self.reports, self.sources)
            if proof.problem:
                self.refused |= {key_of(*case): proof.problem for case in one.cases}
                continue
            changed = {edit.file for edit in one.edits}
            before = tuple((file, self.sources.content(file)) for file in sorted(changed))
            after = tuple((file, proof.sources.content(file)) for file in sorted(changed))
            self.structures.append(Structure(self.as_first(one), before, after, proof.reports))

    def as_first(self, proposal: Proposal) -> Proposal:
        """A proposal whose edits are those of the files before all edits; without edits where it builds on others."""
        edits: list[Edit] = list(proposal.edits)
        for sources, later in reversed(self.steps):
            back = [sources.before(edit, later) for edit in edits]
            edits = [edit for edit in back if edit is not None]
            if len(edits) < len(back):
                return replace(proposal, edits=())
        return replace(proposal, edits=tuple(edits))

    def give_up(self, tried: Proposal, proof: Proof) -> None:
        """Take note that a proposal does not hold, at least not as a safe one."""
        keys = [key_of(*case) for case in tried.cases]
        if proof.differs and all(editors()[found.code].may_change for _, found in tried.cases):
            self.unsafe.update(keys)
        else:
            self.refused |= dict.fromkeys(keys, proof.problem)

    def told(self, report: Report) -> Report:
        """A report from before all edits, whose findings say what mends them, or why nothing does."""
        after = self.after(report, self.reports)
        findings = [self.with_fix(report, after, found) for found in report.findings]
        return replace(report, findings=findings)

    def after(self, report: Report, later: Sequence[Report]) -> Report:
        """The one of some later reports on what a report from before all edits is on."""
        return next(new for old, new in zip(self.first, later, strict=True) if old is report)

    def with_fix(self, report: Report, after: Report, found: Finding) -> Finding:
        """A finding with its fix; one that a later edit mended, whose place others have moved, has a fix without edits."""
        key = key_of(report, found)
        held = self.held.get(key)
        for one in self.structures:
            if any(key_of(*case) == key for case in one.proposal.cases):
                held, after = one.proposal, self.after(report, one.reports)
        if held is None and fixable(found) and not any(key_of(after, one)[1:] == key[1:] for one in after.findings):
            return replace(found, fix=Fix(GOES_WITH, not self.prover.settings.unsafe_fixes, ())) if self.held else found
        if held is None:
            return replace(found, by_hand=self.refused.get(key, "")) if fixable(found) else found
        before, later = (one.gradients.gain if one.gradients is not None else None for one in (report, after))
        return replace(found, fix=Fix(held.title, held.safe, held.edits, held.note, before, later, held.structural))
