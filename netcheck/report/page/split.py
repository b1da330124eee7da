"""How a batch splits over devices, as rows with bars, and the memory that its largest share takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.report import batches as sentences
from netcheck.report.cost import NAMES, size
from netcheck.report.page import memory
from netcheck.report.terminal import shorten

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches, Operation, Shard
    from netcheck.figures.cost import Memory

MOST_ROWS = 64  # devices that are shown
MOST_NAMES = 20  # operations that are named


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its samples, their share of the largest, what its forward sees, the memory that a step takes there."""

    number: int
    samples: int
    share: float
    shapes: str
    loss: str
    peaks: tuple[str, ...]  # in the order of the optimizers


@dataclass(frozen=True, slots=True)
class Need:
    """The memory of a training step on the device with the most samples.

    Attributes:
        device: its number.
        samples: that it has.
        facts: what holds how much, as pairs of a label and a text.
        bars: by optimizer.
        limit: where the device's memory ends on the bars, from 0 to 1; None if that is not known or lies beyond them.
    """

    device: int
    samples: int
    facts: tuple[tuple[str, str], ...]
    bars: tuple[memory.Bar, ...]
    limit: float | None


@dataclass(frozen=True, slots=True)
class Split:
    """What the page says of a batch: sentences, a row for each device, and the operations that mix samples."""

    sentences: tuple[str, ...]
    devices: tuple[Device, ...]
    left_out: int
    mixing: tuple[str, ...]
    optimizers: tuple[str, ...] = ()
    need: Need | None = None


def split(batches: Batches, device_memory: int | None = None) -> Split:
    """What the page says of a batch that is split over devices with so many bytes of memory, if that is known."""
    first, *rest = sentences.lines(batches)
    remarks = [line for line in rest if not line.startswith(("device ", "and "))]
    most = max(batches.samples, default=0) or 1
    largest = max(batches.shards, key=lambda shard: shard.samples, default=None)
    needed = largest.memory if largest is not None else None
    optimizers = tuple(needed or ())
    devices = tuple(
        Device(
            shard.device,
            shard.samples,
            round(shard.samples / most, 4),
            " ".join(map(str, shard.shapes)),
            "" if shard.loss is None else f"{shard.loss:.4g}",
            tuple(size(shard.memory[name].peak) if shard.memory else "not known" for name in optimizers),
        )
        for shard in batches.shards[:MOST_ROWS]
    )
    left_out = len(batches.shards) - len(devices)
    return Split(
        (first, *remarks),
        devices,
        left_out,
        mixing=tuple(map(name_of, batches.mixing[:MOST_NAMES])),
        optimizers=tuple(NAMES.get(name, name) for name in optimizers),
        need=need_of(largest, needed, device_memory) if largest is not None and needed else None,
    )


def need_of(shard: Shard, by_optimizer: Mapping[str, Memory], device_memory: int | None) -> Need:
    """What a step on one device takes."""
    one = next(iter(by_optimizer.values()))
    facts = [
        ("parameters and buffers", size(one.parameters)),
        ("their gradients", size(one.gradients)),
        *((f"state of {NAMES.get(name, name)}", size(need.optimizer)) for name, need in by_optimizer.items()),
        ("activations and gradients at their most", size(one.working)),
    ]
    bars, limit = memory.bars(by_optimizer), memory.limit(by_optimizer, device_memory)
    return Need(shard.device, shard.samples, tuple(facts), bars, limit)


def name_of(operation: Operation) -> str:
    """An operation as a person finds it."""
    where = f" in {shorten(operation.path)}" if operation.path else ""
    return f"{shorten(operation.target)}{where}"
