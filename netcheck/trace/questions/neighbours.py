"""What stands before and after an operation, looked at through what does not matter to the asker.

origin(node)                   what an operation works on; of a composite (x * sigmoid(x)) what all its parts come from
before(node, through)          the nearest operation before it that is of no kind in `through`
ends(node, through)            the nearest operations after it that are of no kind in `through`, on all ways
results(graph, through)        what each result of forward is, by that measure
weight_layers_after(node)      the weight layers that a value still passes
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

# The same numbers, perhaps in another shape or precision.
UNCHANGED = frozenset((Kind.IDENTITY, Kind.CAST, Kind.RESHAPE, Kind.PART))


def origin(node: Node) -> Node | None:
    """The one value that an operation works on; None where it takes several that depend on the input, or
    none.
    """
    part_of_it = f"of {node.name}"
    found: set[Node] = set()
    pending = list(node.inputs)
    while pending:
        source = pending.pop()
        if source.kind is Kind.PART and source.detail == part_of_it:
            pending += source.inputs
        elif source.depends:
            found.add(source)
    return found.pop() if len(found) == 1 else None


def before(node: Node, through: Collection[Kind]) -> Node | None:
    """The nearest operation before `node` that is of no kind in `through`; None where several values meet on
    the way.
    """
    source = origin(node)
    while source is not None and source.kind in through:
        source = origin(source)
    return source


def ends(node: Node, through: Collection[Kind]) -> list[Node]:
    """The nearest operations after `node` that are of no kind in `through`, on all ways, in execution
    order.
    """
    found: set[Node] = set()
    pending, seen = list(node.users), set()
    while pending:
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if user.kind is Kind.PART or user.kind in through:
            pending += user.users
        else:
            found.add(user)
    return sorted(found, key=lambda each: each.index)


def results(graph: Nodes, through: Collection[Kind]) -> Iterator[tuple[Node, Node]]:
    """Each result of forward, with the nearest operation at or before it that is of no kind in `through`."""
    for result in graph.outputs:
        last = result if result.kind not in through else before(result, through)
        if last is not None:
            yield result, last


def next_weight_layers(node: Node) -> set[Node]:
    """The weight layers that read a value first, on any way."""
    found: set[Node] = set()
    pending, seen = list(node.users), set()
    while pending:
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if is_weight_layer(user):
            found.add(user)
        else:
            pending += user.users
    return found


def weight_layers_after(node: Node, most: int | None = None) -> set[Node]:
    """The weight layers that a value still passes: all, or only as many as tell that there are more than `most`."""
    found: set[Node] = set()
    pending, seen = list(node.users), set()
    while pending and (most is None or len(found) <= most):
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if is_weight_layer(user):
            found.add(user)
        pending += user.users
    return found
