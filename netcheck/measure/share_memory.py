"""What a training step takes on each device of a batch that is split.

Under DistributedDataParallel each device holds all parameters, their gradients and the optimizer's state, and the
activations of its own samples: the figures are those of a step on a batch of its share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netcheck.errors import TraceError
from netcheck.figures.batches import Batches
from netcheck.figures.cost import Memory
from netcheck.measure.axes import BatchAxes
from netcheck.measure.cost import cost

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph


def with_memory(found: Batches, graph: ModelGraph, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Batches:
    """`found` with the memory of each shard; shards of equal size have the same.

    Args:
        found: how the batch splits.
        graph: the traced model.
        args: positional arguments of forward that it was traced with.
        kwargs: its keyword arguments.

    Raises:
        NotImplementedError, RuntimeError: a parameter cannot be faked.
    """
    axes = BatchAxes(graph.model, args, kwargs)
    needs = {samples: memory_at(axes, samples) for samples in sorted(set(found.samples))}
    return replace(found, shards=tuple(replace(shard, memory=needs[shard.samples]) for shard in found.shards))


def memory_at(axes: BatchAxes, samples: int) -> dict[str, Memory] | None:
    """What a step on so many samples takes, by optimizer; None where forward does not run on them."""
    try:
        share = axes.graph_at(samples)
    except TraceError:
        return None
    return cost(share, *axes.resized(samples)).memory
