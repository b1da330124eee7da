"""Which operation reads a dimension of a batch of sequences: picks an entry of it, reduces it, slides or pools over it.

    out, _ = lstm(x)              (T, N, 16)
    h = out.transpose(1, 2)       (T, 16, N)
    F.adaptive_avg_pool1d(h, 1)   reads dimension 2 of h, which is dimension 1 of out

readers({(out, 1)})[out, 1]      the nearest such operation behind `out`, through what keeps the dimension whole
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import Node

# What leaves each element where it is, and what leaves the first two dimensions where they are, if the shape says so, too.
_ELEMENTWISE = frozenset((
    Kind.PART, Kind.IDENTITY, Kind.CAST, Kind.ACTIVATION, Kind.DROPOUT, Kind.ADD, Kind.GATE, Kind.SCALE, Kind.SHIFT,
    Kind.POINTWISE,
))  # fmt: skip
_IN_PLACE = _ELEMENTWISE | {Kind.NORM, Kind.LINEAR, Kind.CAT, Kind.RECURRENT, Kind.ATTENTION}
_REORDERING = frozenset(("permute", "transpose", "swapaxes", "swapdims", "getattr"))  # the last: x.mT

Place = tuple["Node", int]  # a node, and a dimension of its value


def readers(places: Collection[Place]) -> dict[Place, Node]:
    """For each dimension of a value of three: the operation behind it that reads it, in fewest steps.

    Looks from the last node of the graph back to the first of `places`, at their dimensions and what they may have become.
    """
    if not places:
        return {}
    first = min((node for node, _ in places), key=lambda node: node.index)
    behind = first.graph.nodes[first.index :]
    reordered = any(node.function in _REORDERING for node in behind)
    dimensions = range(3) if reordered else sorted({dimension for _, dimension in places})
    found: dict[Place, tuple[int, Node]] = {}
    for node in reversed(behind):
        for dimension in dimensions if len(node.shape or ()) == 3 else ():
            ways = [way for user in node.users if (way := way_on(node, user, dimension, found)) is not None]
            if ways:
                found[node, dimension] = min(ways, key=lambda way: way[0])
    return {place: reader for place, (_, reader) in found.items()}


def way_on(node: Node, user: Node, dimension: int, found: dict[Place, tuple[int, Node]]) -> tuple[int, Node] | None:
    """The steps to the reader that a dimension meets by way of one user, and that reader; None if there is none."""
    if is_state(node, user):
        return None
    if takes_apart(user, dimension) or slides_over(node, user, dimension):
        return 1, user
    behind = dimension_behind(node, user, dimension)
    further = found.get((user, behind)) if behind is not None else None
    return (further[0] + 1, further[1]) if further is not None else None


def is_state(node: Node, user: Node) -> bool:
    """Whether a user takes the state, or the attention weights, out of a layer's results, and not the sequence."""
    layer = node.kind in (Kind.RECURRENT, Kind.ATTENTION)
    return layer and user.kind is Kind.PART and user.function == "getitem" and user.argument(1, "index") != 0


def dimension_behind(node: Node, user: Node, dimension: int) -> int | None:
    """Which dimension of a user's value a dimension of the node's value has become; None where it is no longer whole."""
    if node.shape is None or user.shape is None or len(user.shape) != 3:
        return None
    if user.function in _REORDERING:
        order = new_order(user)
        return order.index(dimension) if order is not None and len(order) == 3 else None
    if dimension == 2:
        kept = user.kind in _ELEMENTWISE or (user.kind is Kind.NORM and user.detail == "batch")
        return 2 if kept and user.shape == node.shape else None
    if user.kind not in _IN_PLACE or user.shape[:2] != node.shape[:2]:
        return None
    joins = user.kind is Kind.CAT and user.argument(1, "dim", 0) in (0, 1, -2, -3)
    return None if joins else dimension


def new_order(node: Node) -> list[int] | None:
    """Where each dimension of the value that a transposition gives has been before; None if it is not stated in numbers."""
    rank = len(node.shape or ())
    if node.function == "getattr" and node.fx.args[1] == "mT":
        return [*range(rank - 2), rank - 1, rank - 2]
    stated: Any = node.fx.args[1:] or (node.fx.kwargs.get("dims"),)
    dims = list(stated[0]) if len(stated) == 1 and isinstance(stated[0], list | tuple) else list(stated)
    if not dims or not all(isinstance(dim, int) for dim in dims):
        return None
    dims = [dim % rank for dim in dims]
    if node.function == "permute":
        return dims
    order = list(range(rank))
    if len(dims) == 2:
        order[dims[0]], order[dims[1]] = order[dims[1]], order[dims[0]]
    return order


def slides_over(node: Node, user: Node, dimension: int) -> bool:
    """Whether a one-dimensional convolution or pooling takes a dimension for time."""
    windowed = user.kind in (Kind.CONV, Kind.POOL) and "1d" in user.target.lower()
    return windowed and dimension == 2 and user.inputs[0] is node


def takes_apart(node: Node, dimension: int) -> bool:
    """Whether a node picks one index of a dimension (x[:, -1], x.select(1, 0)), or reduces it and no other."""
    if node.kind is Kind.INDEX:
        return picks_one(node, dimension)
    if node.kind is not Kind.REDUCE or node.function.startswith("cum"):
        return False
    dims = node.argument(1, "dim")
    dims = tuple(dims) if isinstance(dims, tuple | list) else (dims,)
    return len(dims) == 1 and dims[0] in (dimension, dimension - 3)


def picks_one(node: Node, dimension: int) -> bool:
    """Whether an index takes one entry of a dimension and all of those before it."""
    if node.function == "select":
        return node.argument(1, "dim") in (dimension, dimension - 3) and isinstance(node.argument(2, "index"), int)
    if node.function != "getitem" or len(node.inputs) != 1:
        return False
    index: Any = node.fx.args[1]
    index = index if isinstance(index, tuple) else (index,)
    if len(index) <= dimension or any(each is None or each is Ellipsis for each in index[: dimension + 1]):
        return False
    return type(index[dimension]) is int and all(each == slice(None) for each in index[:dimension])
