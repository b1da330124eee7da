"""The first sentence about a model: what anybody understands, before all numbers. And what is well, a line each.

    headline(report) -> Headline(
        "The first layers get 1/10,000 of the gradient that the last one gets, and will hardly learn: its weights start ...",
        "Initialize each layer with `nn.init.xavier_uniform_(layer.weight, gain=5/3)` and a zero bias (line 25)", ...)

    headline()  +-- unchecked()   a model of which nothing is known
                +-- of_finding()  the worst finding, by its rule's `plain` sentence and the first line of its help
                +-- at_rest()     nothing to worry about, and how far that was looked at

From plain data alone: a report that was made in another process says the same.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

from netcheck.figures.decades import Decades
from netcheck.figures.gradients import Gradients
from netcheck.figures.unchecked import advice
from netcheck.findings import Finding, Report, Severity, by_importance
from netcheck.report.terminal import shorten
from netcheck.rules import base
from netcheck.rules.helpers.depth_budget import BUDGET
from netcheck.source.spots import spot

KEPT = 1.0  # decades: a gradient that changes less keeps its size
MOST = 9.0  # decades, beyond which nothing is left that a person could count
LONGEST = 160  # characters of what to do


@dataclass(frozen=True, slots=True)
class Headline:
    """What a person reads first.

    Attributes:
        sentence: what is the matter, without a full stop.
        cure: what to do about it, without a full stop; may quote code in backticks; "" where nothing need be done.
        severity: of the finding that it tells of; None where all is well.
        more: how many other findings there are that are as much as a warning; where all is well, how many remarks.
    """

    sentence: str
    cure: str = ""
    severity: Severity | None = None
    more: int = 0

    def __str__(self) -> str:
        """As one line."""
        parts = [f"{self.sentence}.", f"{self.cure}." if self.cure else "", self.others]
        return " ".join(filter(None, parts))

    @property
    def others(self) -> str:
        """That there is more to read, or ""."""
        if not self.more:
            return ""
        noun = "remark" if self.severity is None else "more finding"
        return f"{self.more} {noun}{'s are' if self.more > 1 else ' is'} below."


def headline(report: Report) -> Headline | None:
    """The first sentence about a model; None of a file without any, and of what was not shown."""
    counting = [found for found in by_importance(report.findings) if found.counts]
    serious = [found for found in counting if found.severity >= Severity.WARNING]
    own = [found for found in serious if not found.belongs_to] or serious
    if own:
        return of_finding(own[0], report, len(own) - 1)
    if report.unchecked is not None:
        return unchecked(report)
    return at_rest(report, len(counting)) if report.summary is not None else None


def unchecked(report: Report) -> Headline:
    """Of a model of which nothing is known."""
    assert report.unchecked is not None
    return Headline(f"It was not checked: {report.unchecked.reason.value}", capital(advice([report.unchecked])), Severity.INFO)


def of_finding(found: Finding, report: Report, more: int) -> Headline:
    """By the worst finding."""
    plain = plain_of(found.code)
    if "{gradient}" in plain:
        fate = fate_of(gain_of(found, report.gradients), estimated=report.gradients is None)
        plain = plain.replace("{gradient}", fate) if fate else ""
    sentence = plain or shorten(" ".join(found.message.splitlines()), 300)
    return Headline(capital(sentence), cure_of(found, report), found.severity, more)


def plain_of(code: str) -> str:
    """What a rule says to somebody who knows none of the terms; its summary where it has no such sentence."""
    rule = next((rule for rule in base.registry() if rule.code == code), None)
    return "" if rule is None else rule.plain or rule.summary.rstrip(".")


def gain_of(found: Finding, gradients: Gradients | None) -> Decades:
    """What becomes of the gradient: measured, or as the finding estimates."""
    return gradients.held_gain if gradients is not None else Decades(found.evidence.value)


def fate_of(gain: Decades, *, estimated: bool) -> str:
    """What becomes of a gradient beyond the budget, in words; "" of one that is not finite or within it."""
    if not abs(gain) > BUDGET:
        return ""
    start = "by an estimate, " if estimated else ""
    if gain < 0:
        learn = "hardly learn" if -gain <= MOST else "not learn"
        return f"{start}the first layers get {part(gain)} of the gradient that the last one gets, and will {learn}"
    return f"{start}the gradient grows {times(gain)} on its way to the first layers, which steps will throw far off"


def part(gain: float) -> str:
    """A part in words: "1/10,000"."""
    if -gain <= MOST:
        return f"1/{rounded(-gain)}"
    return "none" if math.isinf(gain) else f"less than 1/{rounded(MOST)}"


def times(gain: float) -> str:
    """A growth in words: "10,000-fold"."""
    return f"{rounded(gain)}-fold" if gain <= MOST else "beyond all measure"


def rounded(decades: float) -> str:
    """A power of ten with one digit that counts."""
    return f"{float(f'{10 ** round(decades, 1):.1g}'):,.0f}"


def cure_of(found: Finding, report: Report) -> str:
    """The first thing that the help says, and where."""
    lines = found.help.splitlines()
    first = shorten(f"{lines[0]} `{lines[1].strip()}`" if followed_by_code(lines) else first_clause("".join(lines[:1])), LONGEST)
    where = place_of(found, report)
    return capital(f"{first or 'look'} ({where})" if where else first)


def followed_by_code(lines: list[str]) -> bool:
    """Whether the first line of a help leads to a line of code."""
    return len(lines) > 1 and lines[0].endswith(":") and "`" not in lines[1]


def first_clause(help: str) -> str:
    """What stands before the first semicolon that no code holds."""
    pieces = help.split("`")
    for index in range(0, len(pieces), 2):
        clause, found, _ = pieces[index].partition("; ")
        if found:
            return "`".join([*pieces[:index], clause])
    return help.rstrip(".")


def place_of(found: Finding, report: Report) -> str:
    """The line to look at; with the file's name if that is not the target's own."""
    place = found.location
    if place is None:
        return ""
    own = report.target.rpartition(":")[0] or report.target
    line = spot(place.file, place.line)
    return line if os.path.basename(place.file) == os.path.basename(own) or not own else f"{os.path.basename(place.file)} {line}"


def at_rest(report: Report, remarks: int) -> Headline:
    """Of a model in which nothing serious was found."""
    gradients = report.gradients
    if gradients is None:
        return Headline("Nothing to worry about in its structure; its gradients were not measured", more=remarks)
    known = gradient_is_well(gradients)
    return Headline(f"Nothing to worry about: {known}" if known else "Nothing serious was found", more=remarks)


def gradient_is_well(gradients: Gradients) -> str:
    """That the gradient is what it should be; "" if it is not, or if that cannot be told."""
    gain = gradients.held_gain
    if abs(gain) < KEPT:
        return "gradients keep their size from end to end"
    if -BUDGET <= gain < 0:
        return f"{part(gain)} of the gradient reaches the first layers, which is enough for training"
    if 0 < gain <= BUDGET:
        return f"the gradient grows {times(gain)} on its way to the first layers, which training bears"
    return ""


def well(report: Report) -> Iterator[str]:
    """What is well about a model, a sentence each, as far as it was measured."""
    gradients = report.gradients
    if gradients is None:
        return
    codes = {found.code for found in report.findings if found.counts}
    if known := gradient_is_well(gradients):
        yield known
    if gradients.first_nonfinite is None:
        yield "no number became infinite or NaN on the way"
    if gradients.all_learn and not gradients.unreached:
        yield "every trained parameter gets a gradient"
    if (spread := gradients.homogeneity) is not None and spread < limit("NC603", "decades") and "NC603" not in codes:
        yield "no weights learn a hundred thousand times more slowly than others"
    if not gradients.dead and "NC605" not in codes:
        yield "no unit is dead"
    if tells_inputs_apart(gradients):
        yield "different inputs are still different at the last layer"


def tells_inputs_apart(gradients: Gradients) -> bool:
    """Whether what arrives at the head depends on the input, along more than a few directions."""
    rank, differing = gradients.effective_rank, gradients.between_sample_variance
    if rank is None or differing is None:
        return False
    return rank >= limit("NC607", "rank") and differing >= limit("NC607", "similar")


def limit(code: str, name: str) -> float:
    """A threshold of a rule."""
    return base.find(code).limit(name)


def capital(text: str) -> str:
    """With a capital letter in front, but for code."""
    return text[:1].upper() + text[1:]
