"""What a training step costs: FLOPs, parameters, activations kept for backward, and memory at its highest.

    cost(graph, args, kwargs) -> Cost
      +-- total(replay(...))   each operation of the graph again, alone, on fake tensors: nothing is computed or allocated
      +-- working_peak        how much of it is there at one moment

One multiply-add is two FLOPs (the convention of torch.utils.flop_counter). What is not in the figures: the workspace of
convolution libraries, the allocator's rounding, and the memory that activation checkpointing saves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from netcheck.figures.cost import OPTIMIZERS, Cost, LayerCost, Memory
from netcheck.measure.peak import working_peak
from netcheck.measure.replay import Step, Storage, replay
from netcheck.trace import structure

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph


def cost(graph: ModelGraph, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Cost:
    """What one training step of the traced model costs on inputs of these shapes.

    Args:
        graph: the traced model.
        args: positional arguments of forward, those that the graph was traced with.
        kwargs: its keyword arguments.

    Raises:
        NotImplementedError, RuntimeError: a parameter cannot be faked (some quantized and sparse layouts).
    """
    return total(graph, replay(graph, args, kwargs or {}), batch_size(args, kwargs or {}))


def total(graph: ModelGraph, steps: Sequence[Step], samples: int | None) -> Cost:
    """The costs of a graph's operations together, in a batch of so many samples."""
    parameters = {id(p): p for p in graph.model.parameters()}.values()
    buffers = {id(b): b for b in graph.model.buffers()}.values()
    trainable = sum(_nbytes(p) for p in parameters if p.requires_grad)
    working = working_peak(steps)
    held = sum(map(_nbytes, (*parameters, *buffers)))
    kept: dict[Storage, None] = dict.fromkeys(s for step in steps if step.node.live for s in step.saved)
    return Cost(
        batch_size=samples,
        forward=sum(step.forward for step in steps),
        backward=sum(step.backward for step in steps if step.node.live),
        parameters=sum(map(_nbytes, parameters)),
        trainable=trainable,
        saved_bytes=sum(storage.nbytes for storage in kept),
        memory={
            name: Memory(held, trainable, numbers * trainable, working, update_bytes(name, trainable))
            for name, numbers in OPTIMIZERS.items()
        },
        layers=tuple(by_layer(steps)),
        uncounted=tuple(f"{step.node.target} in {step.node.path or graph.class_name}" for step in steps if not step.counted),
    )


def update_bytes(optimizer: str, trainable: int) -> int:
    """What the optimizer's step needs beside its state: Adam takes the root of all second moments at once."""
    return trainable if optimizer == "adam" else 0


def by_layer(steps: Sequence[Step]) -> list[LayerCost]:
    """The costs summed by module, in the order in which forward comes to them; modules that cost nothing are left out."""
    rows: dict[str, LayerCost] = {}
    counted: set[Storage] = set()
    for step in steps:
        node = step.node
        parameters = [s for s in step.reads if s.state and s not in counted]
        saved = [s for s in step.saved if node.live and s not in counted]
        counted.update(parameters, saved)
        row = rows.get(node.path, LayerCost(node.path, node.target))
        rows[node.path] = replace(
            row,
            operation=row.operation if row.operation == node.target else node.owner or row.operation,
            forward=row.forward + step.forward,
            backward=row.backward + (step.backward if node.live else 0),
            parameters=row.parameters + sum(s.nbytes for s in parameters),
            saved=row.saved + sum(s.nbytes for s in saved),
        )
    return [row for row in rows.values() if row.forward or row.parameters or row.saved]


def batch_size(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
    """The first dimension of the first tensor that has one."""
    sizes = (tensor.shape[0] for _, tensor in structure.tensors((args, dict(kwargs))) if tensor.dim())
    return next(sizes, None)


def _nbytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
