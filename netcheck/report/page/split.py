"""How a batch splits over devices, as rows with bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.report import batches as sentences
from netcheck.report.terminal import shorten

if TYPE_CHECKING:
    from netcheck.measure.batch_figures import Batches, Operation

MOST_ROWS = 64  # devices that are shown
MOST_NAMES = 20  # operations that are named


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its samples, their share of the largest, what its forward sees."""

    number: int
    samples: int
    share: float
    shapes: str
    loss: str


@dataclass(frozen=True, slots=True)
class Split:
    """What the page says of a batch: sentences, a row for each device, and the operations that mix samples."""

    sentences: tuple[str, ...]
    devices: tuple[Device, ...]
    left_out: int
    mixing: tuple[str, ...]


def split(batches: Batches) -> Split:
    """What the page says of a batch that is split."""
    first, *rest = sentences.lines(batches)
    remarks = [line for line in rest if not line.startswith(("device ", "and "))]
    most = max(batches.samples, default=0) or 1
    devices = tuple(
        Device(
            shard.device,
            shard.samples,
            round(shard.samples / most, 4),
            " ".join(map(str, shard.shapes)),
            "" if shard.loss is None else f"{shard.loss:.4g}",
        )
        for shard in batches.shards[:MOST_ROWS]
    )
    left_out = len(batches.shards) - len(devices)
    return Split((first, *remarks), devices, left_out, tuple(map(name_of, batches.mixing[:MOST_NAMES])))


def name_of(operation: Operation) -> str:
    """An operation as a person finds it."""
    where = f" in {shorten(operation.path)}" if operation.path else ""
    return f"{shorten(operation.target)}{where}"
