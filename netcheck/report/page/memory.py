"""What a training step costs, as bars and rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.report.cost import NAMES, flops, moment, size, way_text
from netcheck.report.terminal import shorten

if TYPE_CHECKING:
    from netcheck.figures.cost import Cost, Memory

KINDS = ("parameters", "optimizer", "activations and gradients", "gradients", "the optimizer's step")
MOST_LAYERS = 15  # rows of the table: those that save the most


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: its share of the whole width from where it begins, 0 to 1."""

    name: str
    start: float
    share: float
    text: str

    @property
    def colour(self) -> int:
        """Which of the page's colours it has: one for each kind of memory."""
        return 1 + KINDS.index(self.name)


@dataclass(frozen=True, slots=True)
class Bar:
    """The memory of one training step with one optimizer at its peak."""

    name: str
    text: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """All about the cost: facts as pairs of a label and a text, bars, rows of layers.

    Attributes:
        limit: where the device's memory ends on the bars, from 0 to 1; None if that is not known or lies beyond them.
    """

    facts: tuple[tuple[str, str], ...]
    bars: tuple[Bar, ...]
    limit: float | None
    rows: tuple[tuple[str, ...], ...]
    left_out: int


def figures(cost: Cost) -> Figures:
    """What the page says of a cost."""
    facts = [
        ("batch", f"{cost.batch_size:,}" if cost.batch_size else "not known"),
        ("FLOPs of a step", flops(cost.flops)),
        ("parameters", size(cost.parameters)),
        ("saved for backward", size(cost.saved_bytes)),
    ]
    if cost.device_memory:
        facts.append(("device memory", size(cost.device_memory)))
        for name, samples in (cost.largest_batch or {}).items():
            facts.append((f"largest batch with {NAMES.get(name, name)}", f"{samples:,}"))
    if cost.fit is not None:
        facts.append(("peak of a step", f"{size(cost.fit.peak.nbytes)}, {moment(cost.fit)}"))
        facts += [("would make it fit", way_text(way)) for way in cost.fit.ways]
    if cost.scaled_from:
        facts.append(("carried on from batches of", " and ".join(map(str, cost.scaled_from))))
    if cost.uncounted:
        facts.append(("operations not counted", f"{len(cost.uncounted):,}"))
    ranked = sorted((row for row in cost.layers if row.saved), key=lambda row: -row.saved)
    rows = tuple(
        (shorten(row.path), shorten(row.operation), flops(row.forward), size(row.parameters), size(row.saved))
        for row in ranked[:MOST_LAYERS]
    )
    return Figures(
        tuple(facts),
        bars(cost.memory),
        limit(cost.memory, cost.device_memory),
        rows,
        max(0, len(ranked) - MOST_LAYERS),
    )


def bars(memory: Mapping[str, Memory]) -> tuple[Bar, ...]:
    """A bar for each optimizer, on one scale."""
    return tuple(bar(NAMES.get(name, name), need, widest(memory)) for name, need in memory.items())


def limit(memory: Mapping[str, Memory], device: int | None) -> float | None:
    """Where on these bars a device's memory ends, from 0 to 1; None if that is not known or lies beyond them."""
    return device / widest(memory) if device and device <= widest(memory) else None


def widest(memory: Mapping[str, Memory]) -> int:
    """The bytes that the whole width stands for."""
    return max((need.peak for need in memory.values()), default=0) or 1


def bar(name: str, memory: Memory, widest: int) -> Bar:
    """One optimizer's bar; its pieces add up to the peak."""
    in_backward = memory.working >= memory.gradients + memory.update
    later = (memory.working, 0, 0) if in_backward else (0, memory.gradients, memory.update)
    parts, start = [], 0.0
    for title, amount in zip(KINDS, (memory.parameters, memory.optimizer, *later), strict=True):
        if amount:
            parts.append(Part(title, round(start, 4), round(amount / widest, 4), size(amount)))
            start += amount / widest
    return Bar(name, size(memory.peak), tuple(parts))
