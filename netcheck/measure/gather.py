"""What nn.DataParallel makes of forward's results: side by side in dimension 0, whatever that is.

    gathered(graph, other, devices) -> outputs that do not come out as forward gives them

Which dimension holds the batch is told by the same model at two batch sizes. torch's own code is in
torch/nn/parallel/scatter_gather.py: tensors are concatenated, numbers in tensors made a vector, mappings and sequences taken
apart, None is left, and anything else is called with what it is given, which raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch import fx

from netcheck.figures.batches import Gathered

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph


def gathered(graph: ModelGraph, other: ModelGraph, devices: int) -> tuple[Gathered, ...]:
    """The results that gather makes something else of.

    Args:
        graph: the model at one batch size.
        other: the same at another.
        devices: that work.
    """
    here, there = dict(results(graph)), dict(results(other))
    return tuple(found for path, value in here.items() if (found := one(path, value, there.get(path), devices)) is not None)


def results(graph: ModelGraph) -> Iterator[tuple[str, Any]]:
    """(where it is in the result, its shape or what else it is) for each part."""
    shapes = {node.fx: node.shape for node in graph.nodes}
    for node in graph.nodes:
        if node.op == "output":
            yield from parts(node.fx.args[0], "", shapes)


def parts(value: Any, path: str, shapes: Mapping[fx.Node, Any]) -> Iterator[tuple[str, Any]]:
    """The same for one value; shapes stand for tensors."""
    if isinstance(value, fx.Node):
        shape = shapes.get(value)
        if isinstance(shape, tuple):
            yield path, tuple(map(int, shape))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from parts(item, f"{path}[{key!r}]", shapes)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from parts(item, f"{path}[{index}]", shapes)
    elif value is not None:
        yield path, type(value).__name__


def one(path: str, here: Any, there: Any, devices: int) -> Gathered | None:
    """What becomes of one result; None where it is as it should be."""
    if isinstance(here, str):
        return Gathered(path, (), None, (), f"a {here}, on which gather raises")
    if not isinstance(there, tuple) or len(there) != len(here):
        return None
    axes = [axis for axis, (first, second) in enumerate(zip(here, there, strict=True)) if first != second]
    if axes and axes[0] == 0:
        return None
    if not here:
        return Gathered(path, here, None, (devices,), "a number, of which each device gives one")
    if not axes:
        return Gathered(path, here, None, (devices * here[0], *here[1:]), "the same on each device, stacked")
    axis = axes[0]
    share = -(-here[axis] // devices)
    shape = (devices * here[0], *(share if dim == axis else size for dim, size in enumerate(here) if dim))
    return Gathered(path, here, axis, shape, f"its batch is dimension {axis}, and it is put together along dimension 0")
