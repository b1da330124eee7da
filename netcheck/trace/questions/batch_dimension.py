"""Whether the first dimension of a value is the batch: the first of an argument of forward, never moved.

follow(node)   (N, C) <- Linear <- (N, F) <- flatten <- (N, 3, 8, 8) <- argument x         x
               (T, 1) <- transpose <- ...                                                  None
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_MOVES = frozenset((
    "transpose", "permute", "t", "T", "mT", "H", "mH", "adjoint", "swapaxes", "swapdims", "movedim",
    "moveaxis", "rearrange", "roll", "flip",
))  # fmt: skip
_JOINS = frozenset((Kind.CAT, Kind.REDUCE))
_LONGEST = 2000


def follow(node: Node) -> Node | None:
    """The argument of forward whose first dimension is the node's first dimension; None if that cannot be
    told.
    """
    for _ in range(_LONGEST):
        if node.kind is Kind.INPUT:
            return node
        before = previous(node)
        if before is None:
            return None
        node = before
    return None


def previous(node: Node) -> Node | None:
    """The value that this one has its first dimension from."""
    if not node.shape or (node.function in _MOVES and moves_first(node)):
        return None
    if node.kind is Kind.MATMUL and len(node.shape) < 3:
        return None  # (N, D) times (D, N): both dimensions may be batches
    if node.kind in _JOINS and goes_over_first(node):
        return None
    alike = [source for source in node.inputs if source.depends and source.shape and source.shape[0] == node.shape[0]]
    return alike[0] if alike else None


def moves_first(node: Node) -> bool:
    """Whether a transposition touches the first dimension."""
    rank = len(node.shape or ())
    if node.function in ("transpose", "swapaxes", "swapdims"):
        dims = [node.argument(1, "dim0"), node.argument(2, "dim1")]
        return any(not isinstance(dim, int) or dim % rank == 0 for dim in dims)
    if node.function == "permute":
        order = node.fx.args[1] if len(node.fx.args) > 1 else node.fx.kwargs.get("dims")
        first = order[0] if isinstance(order, tuple | list) else order
        return bool(first != 0)
    return not (node.function in ("mT", "mH", "adjoint") and rank > 2)


def goes_over_first(node: Node) -> bool:
    """Whether a sum, mean or concatenation takes the first dimension."""
    dims = node.argument(1, "dim", 0 if node.kind is Kind.CAT else None)
    dims = dims if isinstance(dims, tuple | list) else (dims,)
    return any(not isinstance(dim, int) or dim == 0 or dim == -len(node.shape or ()) for dim in dims)


def time_comes_first(graph: ModelGraph) -> bool:
    """Whether a recurrent or attention module of the model takes sequences as (steps, batch, features)."""
    return any(
        node.module is not None
        and node.kind in (Kind.RECURRENT, Kind.ATTENTION)
        and not getattr(node.module, "batch_first", True)
        and len(node.inputs[0].shape or ()) == 3
        for node in graph
    )
