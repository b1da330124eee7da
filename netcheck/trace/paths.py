"""Fewest, most, and longest runs of a thing on any way from input to output.

    fewest(graph, is_weight_layer)            a net's plain depth: what every way through it must pass
    most(graph, is_weight_layer)              its depth
    longest_run(graph, is_weight_layer, is_norm)   the most weight layers in a row without a norm between

A way follows the gradient: it starts at a float input or an embedding and takes only edges that carry one. Each question
is one pass over the nodes in execution order, which is a topological order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.question import question

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

Test = Callable[["Node"], bool]

# What takes nothing but the shape or the type of its second argument.
_LIKE = frozenset(("view_as", "reshape_as", "expand_as", "type_as", "to"))


@question
def sources(node: Node) -> list[Node]:
    """The nodes that a gradient flows on to from `node`; none where a way begins. Known once the graph is classified."""
    if node.kind in (Kind.INPUT, Kind.EMBEDDING):
        return []
    found = [source for source in node.inputs if source.carries]
    return [source for source in found if source is node.inputs[0]] if node.function in _LIKE else found


def main_output(graph: Nodes) -> Node | None:
    """The first result of forward that a gradient flows into: the logits, not the auxiliary outputs after them."""
    return next((node for node in graph.outputs if node.carries), None)


@question
def ways(graph: Nodes) -> list[Node]:
    """The nodes on any way from the input to the main output, in execution order."""
    end = main_output(graph)
    if end is None:
        return []
    reached = {end}
    pending = [end]
    while pending:
        for source in sources(pending.pop()):
            if source not in reached:
                reached.add(source)
                pending.append(source)
    return sorted(reached, key=lambda node: node.index)


def _count(graph: Nodes, test: Test, choose: Callable[..., int]) -> dict[Node, int]:
    counts: dict[Node, int] = {}
    for node in ways(graph):
        counts[node] = choose((counts[source] for source in sources(node)), default=0) + test(node)
    return counts


def fewest(graph: Nodes, test: Test) -> int:
    """The number of nodes that pass `test` on the way from input to main output that has fewest of them."""
    counts = _count(graph, test, min)
    return next(reversed(counts.values()), 0)


def most(graph: Nodes, test: Test) -> int:
    """The number of nodes that pass `test` on the way from input to main output that has most of them."""
    counts = _count(graph, test, max)
    return next(reversed(counts.values()), 0)


@question
def depth(graph: Nodes) -> int:
    """The most weight layers on any way from input to output."""
    return most(graph, is_weight_layer)


@question
def plain_depth(graph: Nodes) -> int:
    """The fewest weight layers on any way from input to output: what a gradient cannot avoid.

    Residual connections are ways around. ResNet-50 has 50 weight layers in depth and a plain depth of 6.
    """
    return fewest(graph, is_weight_layer)


def is_residual(graph: Nodes) -> bool:
    """Whether most of the depth has ways around it."""
    return plain_depth(graph) < depth(graph) / 2


def longest_run(graph: Nodes, test: Test, reset: Test) -> list[Node]:
    """The longest sequence of nodes that pass `test` on one way, with no node that passes `reset` between them."""
    best: Node | None = None
    length: dict[Node, int] = {}
    before: dict[Node, Node | None] = {}
    for node in ways(graph):
        longest = max(sources(node), key=lambda source: length[source], default=None)
        length[node] = 0 if reset(node) else (length[longest] if longest is not None else 0) + test(node)
        before[node] = None if reset(node) else longest
        if test(node) and length[node] > (length[best] if best is not None else 0):
            best = node
    return _trail(best, before, test) if best is not None else []


def _trail(end: Node, before: dict[Node, Node | None], test: Test) -> list[Node]:
    trail: list[Node] = []
    node: Node | None = end
    while node is not None:
        if test(node):
            trail.append(node)
        node = before[node]
    return trail[::-1]


def fewest_way(graph: Nodes, test: Test, also: Test = lambda node: False) -> list[Node]:
    """The nodes that pass `test` on the way that has fewest of them, in order; with those that pass `also` between them."""
    counts: dict[Node, int] = {}
    before: dict[Node, Node | None] = {}
    end = None
    for node in ways(graph):
        nearest = min(sources(node), key=lambda source: counts[source], default=None)
        counts[node] = (counts[nearest] if nearest is not None else 0) + test(node)
        before[node] = nearest
        end = node
    return _trail(end, before, lambda node: test(node) or also(node)) if end is not None else []


def unavoidable(graph: Nodes, test: Test) -> list[Node]:
    """The nodes that pass `test` and stand on every way from input to main output."""
    found: list[Node] = []
    passed: dict[Node, int] = {}  # a bit for each of `found` that every way to this node passes
    node = None
    for node in ways(graph):
        before = [passed[source] for source in sources(node)]
        common = before[0] if before else 0
        for other in before[1:]:
            common &= other
        if test(node):
            common |= 1 << len(found)
            found.append(node)
        passed[node] = common
    return [each for bit, each in enumerate(found) if node is not None and passed[node] >> bit & 1]
