"""Which batch fits a device: the cost at the batch that was asked for, and the largest batch that the memory holds.

What activations take grows by the same number of bytes with every sample, so two batches tell it for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from netcheck.errors import TraceError
from netcheck.measure.cost import batch_size, cost
from netcheck.measure.cost_figures import Cost
from netcheck.trace import structure
from netcheck.trace.graph import ModelGraph
from netcheck.trace.run import attempt_fake

if TYPE_CHECKING:
    from torch import nn


def cost_on_device(
    graph: ModelGraph,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    samples: int | None = None,
    device_memory: int | None = None,
) -> Cost:
    """What a training step costs, and which batch fits.

    Args:
        graph: the traced model.
        args: positional arguments of forward that it was traced with.
        kwargs: its keyword arguments.
        samples: of the batch; None means as many as the arguments hold.
        device_memory: bytes; None means what the accelerator has, if there is one.

    Raises:
        TraceError: forward does not run at this batch.
        NotImplementedError, RuntimeError: a parameter cannot be faked.
    """
    if samples is not None and samples != batch_size(args, kwargs):
        args, kwargs = resized(args, kwargs, samples)
        graph = retraced(graph.model, args, kwargs)
    found = cost(graph, args, kwargs)
    memory = accelerator_memory() if device_memory is None else device_memory
    if memory is None:
        return found
    return replace(
        found, device_memory=memory, largest_batch=largest_batches(graph, args, kwargs, found, memory)
    )


def retraced(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ModelGraph:
    """The graph of `model` on arguments without values.

    Raises:
        TraceError: forward does not run on them.
    """
    recorder = attempt_fake(model, args, kwargs)
    if recorder.recording.lost:
        recorder = attempt_fake(model, args, kwargs, hear_all=True)
    return ModelGraph(model, recorder.recording, tensors="fake")


def resized(
    args: Sequence[Any], kwargs: Mapping[str, Any], samples: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments without values in which every tensor that holds the batch in dimension 0 holds `samples`."""
    batch = batch_size(args, kwargs)

    def resize(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.dim() or tensor.shape[0] != batch:
            return tensor
        return torch.empty((samples, *tensor.shape[1:]), dtype=tensor.dtype, device="meta")

    new_args, new_kwargs = structure.rebuild((tuple(args), dict(kwargs)), resize)
    return new_args, new_kwargs


def largest_batches(
    graph: ModelGraph, args: Sequence[Any], kwargs: Mapping[str, Any], found: Cost, memory: int
) -> dict[str, int] | None:
    """The most samples whose training step fits, by optimizer; None where the model runs at this batch only."""
    batch = found.batch_size
    if not batch:
        return None
    try:
        double = resized(args, kwargs, 2 * batch)
        doubled = cost(retraced(graph.model, *double), *double)
    except TraceError:
        return None
    return {
        name: most_samples(batch, found.memory[name].working, doubled.memory[name].working, room)
        for name, room in rooms(found, memory).items()
    }


def rooms(found: Cost, memory: int) -> dict[str, int]:
    """The bytes that inputs, activations and gradients may take, by optimizer; below 0 where its update does not fit."""
    return {
        name: memory - need.parameters - need.optimizer
        if need.parameters + need.optimizer + need.gradients + need.update <= memory
        else -1
        for name, need in found.memory.items()
    }


def most_samples(batch: int, working: int, working_at_double: int, room: int) -> int:
    """The most samples whose working memory is within `room`, given that of `batch` samples and of twice as many."""
    slope = max(working_at_double - working, 1) / batch
    fixed = working - slope * batch
    if room < 0:
        return 0
    return max(0, int((room - fixed) // slope))


def accelerator_memory() -> int | None:
    """The bytes of the first accelerator's memory; None without one."""
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None
