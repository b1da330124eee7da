"""How large a model is to run for real, and how many samples of a batch can be."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from netcheck.trace.work import work_of_layers

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

EXACT_FLOPS = 1e11  # what is run in double precision: some ten seconds of one core
COMPARED_FLOPS = 2e10  # of the whole batch and its shards, where all of it is run: about a second of one core
MOST_FLOPS = 2e11  # of one sample that is run at all
MOST_BYTES = 2 * 2**30  # of activations
PASSES = 6  # forward and twice that for backward, of the whole batch and of the shards


@dataclass(frozen=True, slots=True)
class Size:
    """What one sample takes forward: FLOPs of the weight layers, and bytes of activations in double precision."""

    flops: float
    activations: float

    @classmethod
    def of(cls, graph: ModelGraph, batch: int) -> Size:
        """From the shapes of a graph at a batch of this size."""
        numbers = sum(prod(node.shape) for node in graph if node.depends and node.shape)
        return cls(sum(work_of_layers(graph).values()) / batch, 8 * numbers / batch)

    def affordable(self, samples: int, devices: int) -> int:
        """How many samples of a batch to run: all, or fewer that split in the same way."""
        by_time = COMPARED_FLOPS / (PASSES * self.flops) if self.flops else samples
        by_memory = MOST_BYTES / (2 * self.activations) if self.activations else samples
        most = max(int(min(by_time, by_memory)), 2 * devices)
        if samples <= most:
            return samples
        return most // devices * devices + samples % devices
