"""Two reports on what was one model, or is meant to do the same, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from netcheck.compare.layers import Change, changes
from netcheck.figures.decades import Decades, signed
from netcheck.findings import Finding, Report, Severity, by_importance
from netcheck.report.cost import flops, size
from netcheck.report.headline import headline

SAME = 0.1  # decades by which a gradient may differ and is still called the same


@dataclass(frozen=True, slots=True)
class Figure:
    """One number before and after; None where it is not known.

    Attributes:
        name: what it is: "parameters".
        old, new: the numbers.
        shown_old, shown_new: as a person writes them; "" where they are not known.
    """

    name: str
    old: float | None
    new: float | None
    shown_old: str
    shown_new: str

    @property
    def change(self) -> str:
        """By how much it changed, as a person says it; "" for not at all, and where that cannot be told."""
        if self.old is None or self.new is None or self.shown_old == self.shown_new:
            return ""
        is_count = isinstance(self.old, int)
        if not is_count:
            return signed(self.new - self.old, 1 if isinstance(self.old, Decades) else 2)
        return f"{(self.new - self.old) / self.old:+.1%}".replace("-", "−") if self.old else "new"


@dataclass(frozen=True, slots=True)
class Gain:
    """What arrives of the gradient at one weight layer, in decades of its norm; None where there is no such layer."""

    path: str
    old: float | None
    new: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change does.

    Attributes:
        old, new: the names of the two.
        said_old, said_new: the first sentence on each.
        figures: numbers before and after.
        layers: operations that are new, gone, or other than before.
        gains: the gradient by weight layer, of layers where it changed.
        came: findings that are new and count.
        went: findings that are no more.
        stayed: findings that are in both, as they are now.
    """

    old: str
    new: str
    said_old: str
    said_new: str
    figures: tuple[Figure, ...] = ()
    layers: tuple[Change, ...] = ()
    gains: tuple[Gain, ...] = ()
    came: tuple[Finding, ...] = ()
    went: tuple[Finding, ...] = ()
    stayed: tuple[Finding, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing was found to differ."""
        return not (self.layers or self.gains or self.came or self.went or any(one.change for one in self.figures))

    def worse(self, least: Severity) -> bool:
        """Whether findings came that are as bad as `least`."""
        return any(found.severity >= least for found in self.came)


def compare(old: Report, new: Report, names: tuple[str, str]) -> Comparison:
    """What became of the first model in the second."""
    came, went, stayed = findings(old.findings, new.findings)
    return Comparison(
        *names,
        said_old=str(headline(old) or ""),
        said_new=str(headline(new) or ""),
        figures=tuple(figures(old, new)),
        layers=changes(old.network, new.network) if old.network is not None and new.network is not None else (),
        gains=tuple(gains(old, new)),
        came=came,
        went=went,
        stayed=stayed,
    )


def pairs(old: Sequence[Report], new: Sequence[Report]) -> list[tuple[Report | None, Report | None]]:
    """Which reports belong together: by the model's name; of one each, these."""
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    by_name = {report.model: report for report in reversed(old)}
    found: list[tuple[Report | None, Report | None]] = [(by_name.pop(report.model, None), report) for report in new]
    return [*found, *((report, None) for report in old if by_name.get(report.model) is report)]


def figures(old: Report, new: Report) -> Iterator[Figure]:
    """The numbers that both reports may have."""
    for name in ("operations", "weight_layers", "parameters", "depth"):
        values = [getattr(one.summary, name, None) for one in (old, new)]
        yield figure(name.replace("_", " "), values, "{:,}".format)
    costs = [old.cost, new.cost]
    yield figure("FLOPs of forward", [one and one.forward for one in costs], flops)
    yield figure("saved activations", [one and one.saved_bytes for one in costs], size)
    yield figure("peak with Adam", [one and one.peak_bytes for one in costs], size)
    measured = [old.gradients, new.gradients]
    yield figure("gain, decades", [one and Decades(one.gain) for one in measured], str)
    yield figure("effective rank", [one and one.effective_rank for one in measured], "{:.2f}".format)


def figure(name: str, values: Sequence[Any], shown: Callable[[Any], str]) -> Figure:
    """One number before and after."""
    old, new = values
    return Figure(name, old, new, *("" if one is None else shown(one) for one in values))


def gains(old: Report, new: Report) -> Iterator[Gain]:
    """The gradient at the weight layers where it changed."""
    before, after = by_layer(old), by_layer(new)
    if not before or not after:
        return
    for path in dict.fromkeys((*after, *before)):
        one, other = before.get(path), after.get(path)
        if one is None or other is None or not abs(other - one) < SAME:
            yield Gain(path, one, other)


def by_layer(report: Report) -> dict[str, Decades]:
    """The gradient's norm at each weight layer, at the first call of one that runs several times."""
    found: dict[str, Decades] = {}
    for one in report.gradients.profile if report.gradients is not None else ():
        if one.is_weight_layer and one.gradient_norm is not None:
            found.setdefault(one.path or one.operation, Decades.of(one.gradient_norm))
    return found


Findings = tuple[Finding, ...]


def findings(old: Sequence[Finding], new: Sequence[Finding]) -> tuple[Findings, Findings, Findings]:
    """Those that came, those that went, and those that stayed.

    Of one rule, findings about the same modules are the same first; one that has become worse is new.
    """
    left = [found for found in by_importance(old) if found.counts]
    came, stayed = list[Finding](), list[Finding]()
    counting = [found for found in by_importance(new) if found.counts]
    exact = {id(found): partner for found in counting if (partner := take(left, found, exactly=True)) is not None}
    for found in counting:
        same = id(found) in exact or take(left, found, exactly=False) is not None
        (stayed if same else came).append(found)
    return tuple(came), tuple(left), tuple(stayed)


def take(left: list[Finding], found: Finding, *, exactly: bool) -> Finding | None:
    """Take out the partner of a finding, if there is one."""
    for one in left:
        if one.code == found.code and found.severity <= one.severity and (not exactly or one.modules == found.modules):
            left.remove(one)
            return one
    return None
