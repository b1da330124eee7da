"""Along which dimension a weight layer mixes, and whether another layer mixes what it made.

Linear(8, 4) on (N, T, 8)          the last: -1
Conv2d(3, 8, 3) on (N, 3, H, W)    the third from the end: -3
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import origin

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import Node

_KEEPING_SHAPE = frozenset((
    Kind.NORM, Kind.DROPOUT, Kind.SCALE, Kind.SHIFT, Kind.ACTIVATION, Kind.IDENTITY, Kind.CAST, Kind.PART,
))  # fmt: skip
_KEEPING_CHANNELS = _KEEPING_SHAPE | {Kind.POOL, Kind.RESIZE, Kind.PAD}
_LARGEST = 30_000_000  # elements that are moved around to see where they go


def channel_axis(layer: Node) -> int | None:
    """The dimension of its value, counted from the end, that a LINEAR or CONV layer mixes; None if that is
    not known.
    """
    if layer.kind is Kind.CONV:
        kernel = kernel_size(layer)
        return None if kernel is None else -1 - len(kernel)
    if layer.kind is not Kind.LINEAR or layer.detail or layer.function in ("einsum", "tensordot"):
        return None
    product = layer.function in ("matmul", "mm", "mv", "bmm")
    return -2 if product and not layer.inputs[0].depends else -1  # W @ x, else x @ W


def kernel_size(layer: Node) -> tuple[int, ...] | None:
    """The extent of a convolution's kernel in each spatial dimension."""
    if layer.module is not None:
        size: Any = getattr(layer.module, "kernel_size", None)
        return tuple(size) if size is not None else None
    weight = next((source for source in layer.inputs if not source.depends and len(source.shape or ()) > 2), None)
    return None if weight is None or weight.shape is None else weight.shape[2:]


def widths(layer: Node) -> tuple[int, int] | None:
    """How many channels a layer takes and gives."""
    axis, source = channel_axis(layer), origin(layer)
    if axis is None or source is None or source.shape is None or layer.shape is None:
        return None
    if min(len(source.shape), len(layer.shape)) < -axis:
        return None
    return source.shape[axis], layer.shape[axis]


def mixes_all_channels(first: Node, second: Node) -> bool:
    """Whether every output of `second` is made from all the channels that `first` made: then two linear maps
    are one.

    Not so across a transposition (one mixes tokens, the other features), a split, or a pixel shuffle. What
    stands between is run on the numbers of the channels, to see where they go.
    """
    way = way_between(first, second)
    axis, into = channel_axis(first), channel_axis(second)
    if way is None or axis is None or into is None or first.shape is None:
        return False
    if axis == into and all(node.kind in _KEEPING_CHANNELS for node in way):
        return True
    arrived = channel_numbers(first, axis, way)
    if arrived is None or arrived.dim() < -into:
        return False
    rows = arrived.movedim(into, -1).flatten(0, -2) if arrived.dim() > 1 else arrived[None]
    middle = {round(value) for value in rows[len(rows) // 2].tolist()}
    return middle >= set(range(1, first.shape[axis] + 1))


def way_between(first: Node, second: Node) -> list[Node] | None:
    """The nodes between two, in order, if each works on the one before alone."""
    way: list[Node] = []
    node = origin(second)
    while node is not None and node is not first:
        way.append(node)
        node = origin(node)
    return way[::-1] if node is first else None


def channel_numbers(layer: Node, axis: int, way: list[Node]) -> torch.Tensor | None:
    """A tensor like `layer`'s value that holds the number of its channel (from 1) everywhere, led along
    `way`.
    """
    import torch

    from netcheck.trace.values import TooCostly, ancestors, evaluate

    shape = layer.shape or ()
    if not -len(shape) <= axis or math.prod(shape) > _LARGEST:
        return None
    value = torch.arange(1.0, shape[axis] + 1).reshape([-1] + [1] * (-axis - 1)).expand(shape).contiguous()
    known: dict[Any, Any] = {layer.fx: value}
    last = layer
    for node in way:
        if node.kind in _KEEPING_SHAPE:
            known[node.fx] = known[last.fx]
        else:
            try:
                evaluate(ancestors([node.fx], known), node.graph.recording.attributes, {}, known)
            except (TooCostly, RuntimeError, TypeError, ValueError, IndexError):
                return None
        last = node
    moved = known[last.fx]
    return moved if isinstance(moved, torch.Tensor) else None
