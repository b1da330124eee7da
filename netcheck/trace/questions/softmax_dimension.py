"""What the rules about softmax share: over which dimension it goes, whatever it was written as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import origin

if TYPE_CHECKING:
    from netcheck.trace.graph import Node

_POSITION = {"gumbel_softmax": 4}  # of `dim` among the arguments; 1 for the others
_NAMED = ("nn.Softmax2d", "F.gumbel_softmax")  # have a dimension of their own
_LEGACY = (0, 1, 3)  # numbers of dimensions for which PyTorch takes an unnamed dim to be 0; else 1


def call(node: Node) -> Node:
    """The operation that has the settings of a softmax: of a logarithm of one, the softmax inside."""
    inside = (source for source in node.inputs if source.kind is Kind.PART and source.detail == f"of {node.name}")
    return next(inside, node) if node.function == "log" else node


def is_implicit(node: Node) -> bool:
    """Whether a softmax does not say over which dimension it goes."""
    called = call(node)
    named = called.option("dim", _POSITION.get(called.function, 1), None) is not None
    return has_dimension(node) and node.over is None and not named and called.target not in _NAMED


def dimension(node: Node) -> int | None:
    """The dimension, counted from the front, that a softmax goes over; None if that cannot be told."""
    source = origin(node)
    if not has_dimension(node) or source is None or not source.shape:
        return None
    if node.over is not None:
        return node.over
    rank, called = len(source.shape), call(node)
    if called.target == "nn.Softmax2d":
        return rank - 3
    dim = called.option("dim", _POSITION.get(called.function, 1), None)
    if dim is None:
        dim = -1 if called.function == "gumbel_softmax" else (0 if rank in _LEGACY else 1)
    return dim % rank if isinstance(dim, int) and -rank <= dim < rank else None


def has_dimension(node: Node) -> bool:
    """Whether it is a softmax over one dimension of its input."""
    return node.kind is Kind.SOFTMAX and node.target != "nn.AdaptiveLogSoftmaxWithLoss"


def size(node: Node) -> int | None:
    """How many elements a softmax goes over."""
    dim, source = dimension(node), origin(node)
    return None if dim is None or source is None or source.shape is None else source.shape[dim]


def name(node: Node) -> str:
    """What it computes: "softmax" or "log_softmax"."""
    return "log_softmax" if node.detail == "log" else "softmax"
