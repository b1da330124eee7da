"""The measured profile through depth as points of a drawing. Coordinates are in the drawing's own units.

    x   operations from input to output, evenly spaced
    y   decades: log10 of the gradient's norm, or of the activations' rms

What has no logarithm (0, NaN, infinity, no gradient at all) is no point; the table under the drawing names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades, signed
from netcheck.report.terminal import shorten

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients, NodeProfile

WIDTH, HEIGHT = 720.0, 150.0  # of the area that holds the points
LEAST = 2.0  # decades that an axis spans at least, so that noise looks flat
MOST_POINTS = 400  # circles of one line: beyond, the line alone is drawn


@dataclass(frozen=True, slots=True)
class Point:
    """One operation on a line."""

    x: float
    y: float
    value: float
    index: int  # of the operation in the profile
    is_weight_layer: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity through depth.

    Attributes:
        title: what it is, with its unit.
        key: "gradient" or "activation".
        pieces: its points, cut where a value is missing.
        ticks: (y, text) of the horizontal lines.
        summary: the drawing in words, for those who do not see it.
    """

    title: str
    key: str
    pieces: tuple[tuple[Point, ...], ...]
    ticks: tuple[tuple[float, str], ...]
    summary: str

    @property
    def circles(self) -> tuple[Point, ...]:
        """The points that are drawn as circles."""
        points = [point for piece in self.pieces for point in piece]
        if len(points) > MOST_POINTS:
            points = [piece[0] for piece in self.pieces if len(piece) == 1]
        return tuple(points)


@dataclass(frozen=True, slots=True)
class Stop:
    """What is said of one operation where a person points at it."""

    x: float
    name: str
    operation: str
    facts: tuple[tuple[str, str], ...]
    codes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """The profile as drawn: the lines one above the other, over one row of operations."""

    lines: tuple[Line, ...]
    stops: tuple[Stop, ...]


def profile(gradients: Gradients, codes: Callable[[NodeProfile], tuple[tuple[str, str], ...]]) -> Chart | None:
    """The drawing of what the probe measured; None where fewer than two operations were.

    Args:
        gradients: with the profile in execution order.
        codes: gives the findings, as (code, severity), about one of these operations.
    """
    nodes = gradients.profile
    if len(nodes) < 2:
        return None
    drawn = (
        line("Gradient norm, decades", "gradient", nodes, lambda one: one.gradient_norm),
        line("Activation rms, decades", "activation", nodes, lambda one: one.rms),
    )
    stops = (
        Stop(position(i, len(nodes)), shorten(one.path), shorten(one.operation), facts(one), codes(one))
        for i, one in enumerate(nodes)
    )
    return Chart(tuple(one for one in drawn if one.pieces), tuple(stops))


def line(title: str, key: str, nodes: Sequence[NodeProfile], value_of: Callable[[NodeProfile], float | None]) -> Line:
    """One quantity over all operations."""
    values = [decades(value_of(one)) for one in nodes]
    known = [value for value in values if value is not None]
    if not known:
        return Line(title, key, (), (), "")
    low, high = bounds(known)
    pieces: list[list[Point]] = [[]]
    for index, (one, value) in enumerate(zip(nodes, values, strict=True)):
        if value is None:
            pieces.append([])
            continue
        x, y = position(index, len(nodes)), HEIGHT * (high - value) / (high - low)
        pieces[-1].append(Point(round(x, 2), round(y, 2), value, index, one.is_weight_layer))
    marks = [low + step for step in range(int(high - low) + 1)]
    stride = max(1, math.ceil(len(marks) / 6))
    ticks = tuple((round(HEIGHT * (high - mark) / (high - low), 2), power(mark)) for mark in marks[::stride])
    summary = (
        f"{title}: from {known[0]} at the input to {known[-1]} at the output, "
        f"lowest {min(known)}, highest {max(known)}, over {len(nodes)} operations"
    )
    return Line(title, key, tuple(tuple(piece) for piece in pieces if piece), ticks, summary)


def position(index: int, count: int) -> float:
    """The x of an operation."""
    return round(WIDTH * index / max(1, count - 1), 2)


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Whole decades around the values, some room between."""
    low, high = math.floor(min(values)), math.ceil(max(values))
    while high - low < LEAST:
        low, high = (low - 1, high) if (high - max(values)) > (min(values) - low) else (low, high + 1)
    return low, high


def decades(value: float | None) -> Decades | None:
    """Of a positive, finite number; None of anything else."""
    return Decades.of(value) if value is not None and 0 < value < math.inf else None


def power(mark: float) -> str:
    """A whole decade as a tick: "10⁻³"."""
    digits = str(int(mark)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


def facts(one: NodeProfile) -> tuple[tuple[str, str], ...]:
    """The numbers of one operation, as pairs of a label and a text."""
    found = [
        ("gradient norm", number(one.gradient_norm)),
        ("gradient rms", number(one.gradient_rms)),
        ("activation mean", number(one.mean)),
        ("activation rms", number(one.rms)),
    ]
    found += [(name, percent(value)) for name, value in (("dead", one.dead), ("saturated", one.saturated)) if value is not None]
    return tuple(found)


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{value:.0%}" if math.isfinite(value) else signed(value, 0)


def number(value: float | None) -> str:
    """A measured number with two digits; "none" where there is none."""
    if value is None:
        return "none"
    return f"{value:.2g}".replace("-", "−") if math.isfinite(value) else signed(value, 0)
