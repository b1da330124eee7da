"""Smaller images for the measurement, where netcheck chose their size itself and cannot afford enough samples of it.

    measurable(Subject(graph, example))     the same on smaller images, with a remark; or as it was

A gradient's size hardly depends on that of the images, but much on the number of samples that it is measured on: 32 samples of
96 x 96 say more than two of 224 x 224. What shrinks is only the measurement: the static rules and the cost keep the size that
people use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from netcheck.errors import NetcheckError
from netcheck.measure import plan as planning
from netcheck.measure.inputs import Example
from netcheck.trace import structure, trace
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.load.examples import ExampleInputs
    from netcheck.trace.graph import ModelGraph

SIDES = (32, 48, 64, 96, 128, 160, 192)
# The side of the smallest map that a convolution makes: on smaller ones most of its weights meet nothing but padding.
FEWEST = 3
MOST_TRACES = 2
STEPS = 8  # of a sequence that is cut


@dataclass(frozen=True)
class Subject:
    """What is measured on.

    Attributes:
        graph: the model, traced on the example.
        example: the inputs.
        remark: a sentence, where they are smaller than those that the static rules saw.
    """

    graph: ModelGraph
    example: ExampleInputs
    remark: str = ""


def measurable(whole: Subject, *, device: str = "auto", passes: int = planning.PASSES) -> Subject:
    """The same on smaller images, where that affords more samples; `whole` itself where it does not, or cannot be."""
    graph, example = whole.graph, whole.example
    side = example.guessed.get("height")
    if side is None or side != example.guessed.get("width") or example.resized is None:
        return whole
    if is_affordable(graph, example, device, passes):
        return whole
    smallest = smallest_map(graph)
    least = side * min(FEWEST / smallest, 1.0) if smallest else 0.0
    for fewer in [fewer for fewer in SIDES if least <= fewer < side][:MOST_TRACES]:
        with suppress(NetcheckError):
            smaller = example.resized({"height": fewer, "width": fewer})
            other = trace(graph.model, smaller.args, smaller.kwargs)
            if is_alike(graph, other):
                remark = f"images of {fewer}x{fewer} in the place of {side}x{side}, to afford more samples"
                return Subject(other, smaller, remark)
    return whole


def smaller_arguments(graph: ModelGraph) -> Iterator[tuple[Any, Any, str]]:
    """The arguments of a graph with their maps and sequences cut to few positions, fewest first: (args, kwargs, what was done).

    For what does not depend on the size, as whether samples mix.
    """
    tensors = [tensor for _, tensor in structure.tensors(graph.example)]
    maps = [min(tensor.shape[2:]) for tensor in tensors if tensor.is_floating_point() and tensor.dim() in (4, 5)]
    sequences = [int(tensor.shape[1]) for tensor in tensors if not maps and sequence_of(tensor)]
    smallest = smallest_map(graph)
    least = min(maps, default=0) * min(FEWEST / smallest, 1.0) if smallest else 0.0
    for side in [side for side in SIDES if least <= side < min(maps or [0])][:MOST_TRACES]:
        yield *cut(graph, side, 0), f"images of {side}x{side}"
    if min(sequences, default=0) > STEPS:
        yield *cut(graph, 0, STEPS), f"sequences of {STEPS} steps"


def cut(graph: ModelGraph, side: int, steps: int) -> tuple[Any, Any]:
    """The arguments of a graph without what is beyond this side of maps, or this step of sequences."""

    def smaller(tensor: torch.Tensor) -> torch.Tensor:
        if side and tensor.is_floating_point() and tensor.dim() in (4, 5):
            for dim in range(2, tensor.dim()):
                tensor = tensor.narrow(dim, 0, min(side, int(tensor.shape[dim])))
            return tensor
        return tensor[:, :steps] if steps and sequence_of(tensor) else tensor

    args, kwargs = structure.rebuild(graph.example, smaller)
    return args, kwargs


def sequence_of(tensor: torch.Tensor) -> bool:
    """Whether a tensor looks like sequences: rows of numbers of classes, or of vectors."""
    return tensor.dim() == (3 if tensor.is_floating_point() else 2)


def is_affordable(graph: ModelGraph, example: ExampleInputs, device: str, passes: int) -> bool:
    """Whether all samples and passes that are wanted can be had."""
    inputs = Example.of(graph, example.args, example.kwargs, example.batches)
    with suppress(NetcheckError):
        return next(planning.plans(graph, inputs, device, passes)).affordable
    return False


def smallest_map(graph: ModelGraph) -> int:
    """The shortest side of what a convolution with a kernel gives; 0 where there is none."""
    sides = [min(node.shape[2:]) for node in graph.nodes if node.kind is Kind.CONV and node.shape and len(node.shape) == 4]
    return min(sides, default=0)


def is_alike(one: ModelGraph, other: ModelGraph) -> bool:
    """Whether two graphs have the same operations in the same order, by kind and module."""
    return [(node.kind, node.path, node.function) for node in one.nodes] == [
        (node.kind, node.path, node.function) for node in other.nodes
    ]
