"""From findings to edits that may mend them, not tried yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from netcheck.figures.fixes import Edit
from netcheck.findings import Finding, Report, Severity
from netcheck.fix.code import ByHand
from netcheck.fix.editor import Case, editors
from netcheck.fix.sources import Sources
from netcheck.rules import base
from netcheck.source.edits import NotEditable, apart, overlap

Key = tuple[str, str, tuple[str, ...], str]  # of a finding: the target, the rule, the modules, the message


@dataclass(frozen=True)
class Proposal:
    """An edit, and the findings that it is to mend: that of one model, and of others which the same lines build.

    Attributes:
        title: what it does.
        safe: whether it is said to leave outputs and gradients as they are.
        edits: what is written, in order.
        note: what else changes.
        cases: the reports and findings.
        structural: whether it makes another network of it, which is shown and never applied.
    """

    title: str
    safe: bool
    edits: tuple[Edit, ...]
    note: str = ""
    cases: list[tuple[Report, Finding]] = field(default_factory=list, compare=False)
    structural: bool = False

    def reaches_into(self, other: Proposal) -> bool:
        """Whether both want to write at one place."""
        return any(overlap(one, two) for one in self.edits for two in other.edits)

    def findings_of(self, report: Report) -> list[Finding]:
        """What it is to mend of one model."""
        return [found for one, found in self.cases if one is report]


def key_of(report: Report, found: Finding) -> Key:
    """By what a finding is known again after other edits."""
    return report.target, found.code, found.modules, found.message


def fixable(found: Finding) -> bool:
    """Whether there is an edit for what a rule finds; another structure only for what is more than information."""
    fix = base.find(found.code).fixable
    if fix is None or not found.counts or found.code not in editors():
        return False
    return not fix.structural or found.severity >= Severity.WARNING


def proposals(
    reports: Iterable[Report],
    sources: Sources,
    refused: dict[Key, str],
    unsafe: Collection[Key] = (),
    *,
    safe: bool,
    structural: bool = False,
) -> Iterator[Proposal]:
    """Edits for the findings of these reports, each kind of edit once.

    Args:
        reports: with findings at places of the sources as they are.
        sources: the files.
        refused: why there is no edit, by finding; those in it are left out, and those for which none can be made are added.
        unsafe: findings whose fix was tried and changes outputs, whatever its rule says.
        safe: whether the edits are to be safe, or just those that are not.
        structural: whether they are to make another network of it, or just those that do not.
    """
    found: dict[tuple[Edit, ...], Proposal] = {}
    for report in reports:
        for one in report.findings:
            key = key_of(report, one)
            if key in refused or not fixable(one):
                continue
            try:
                made = proposed(Case(one, report, sources))
            except ByHand as error:
                refused[key] = str(error)
                continue
            if key in unsafe:
                made = replace(made, safe=False)
            if made.safe is safe and made.structural is structural:
                found.setdefault(made.edits, made).cases.append((report, one))
    yield from found.values()


def proposed(case: Case) -> Proposal:
    """The edit for a finding.

    Raises:
        ByHand: none can be made.
    """
    editor, fix = editors()[case.finding.code], base.find(case.finding.code).fixable
    assert fix is not None
    try:
        edits = tuple(apart(editor.edits(case)))
    except NotEditable as error:
        raise ByHand(f"the file {error}") from error
    except ByHand:
        raise
    except Exception as error:  # a form that nobody thought of fails no run
        raise ByHand(f"netcheck itself failed on its form ({type(error).__name__}: {error})") from error
    if not edits:
        raise ByHand("no line of the source was found to change")
    safe = editor.is_safe(case, fix.safe)
    return Proposal(editor.title(case, fix.title), safe, edits, fix.note, structural=fix.structural)


def side_by_side(every: Sequence[Proposal]) -> list[Proposal]:
    """Those that write at places of their own; of those that do not, the first."""
    taken: list[Proposal] = []
    for one in every:
        if not any(one.reaches_into(other) for other in taken):
            taken.append(one)
    return taken
