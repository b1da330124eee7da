"""What stands on the skips of residual blocks, beside an identity.

blocked(graph)         {the sum of a block: what its input passes on the skip}, where the skip is no identity
amplified(graph)       whether most skips carry a factor above one
weakens(node)          whether such a node lets less pass
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind
from netcheck.trace.question import question
from netcheck.trace.residual import fixed_factor, hand_on

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.residual import Residual

# What may stand between one block's sum and the next block.
_PLAIN = (
    Kind.ACTIVATION,
    Kind.NORM,
    Kind.DROPOUT,
    Kind.POOL,
    Kind.SCALE,
    Kind.SHIFT,
    Kind.CAST,
    Kind.IDENTITY,
    Kind.RESHAPE,
    Kind.PART,
)


@question
def blocked(graph: ModelGraph) -> dict[Node, list[Node]]:
    """The sums of blocks whose skip is no identity, each with what stands on it."""
    return {each.node: nodes for each in blocks_of(graph) if (nodes := obstacles(each))}


def blocks_of(graph: ModelGraph) -> list[Residual]:
    """The residual sums that follow each other as blocks do: where one ends, another begins.

    A sum of what the steps of a loop give out (TabNet) is none: each step begins at the state before, not at the sum.
    """
    following = {each: continued(each.origin) for each in graph.residuals}
    followed = {node for nodes in following.values() for node in nodes}
    sums = {each.node for each in graph.residuals}
    return [each for each, nodes in following.items() if each.node in followed or sums & nodes or len(sums) == 1]


def continued(node: Node) -> set[Node]:
    """A node, and those that it is the plain continuation of."""
    found = {node}
    while node.kind in _PLAIN and (source := next((each for each in node.inputs if each.depends), None)) is not None:
        found.add(source)
        node = source
    return found


def obstacles(residual: Residual) -> list[Node]:
    """What stands on the skip of a block and keeps it from being an identity."""
    if residual.spans_stages or not residual.branch.layers:
        return []
    if residual.projected:
        return [node for node in residual.skip.way if node.kind is Kind.DROPOUT and drops(node)]
    nonlinear = (Kind.ACTIVATION, Kind.SOFTMAX, Kind.ATTENTION, Kind.RECURRENT, Kind.MATMUL, Kind.GATE)
    merged_later = not any(node.kind in nonlinear for node in residual.branch.nodes)
    averaged = any(node.kind is Kind.SCALE for node in ends(residual.branch.operand))
    found = [residual.node] if is_weighted(residual) else []
    for node in residual.skip.way:
        if node.kind is Kind.ACTIVATION or (node.kind is Kind.DROPOUT and drops(node)):
            found.append(node)
        elif node.kind is Kind.NORM or node.kind in (Kind.CONV, Kind.LINEAR):
            found += [] if merged_later else [node]
        elif node.kind is Kind.SCALE and not averaged and (factor := fixed_factor(node)) is not None and factor != 1:
            found.append(node)
    return found


def amplified(graph: ModelGraph) -> bool:
    """Whether most of the skips carry a factor above one, which multiplies from block to block."""
    growing = [nodes for nodes in blocked(graph).values() if any(map(strengthens, nodes))]
    return 2 * len(growing) > len(graph.residuals)


def weakens(node: Node) -> bool:
    """Whether what stands on a skip lets less of it pass: dropout, a layer, a factor below one."""
    if node.kind is Kind.SCALE:
        return abs(fixed_factor(node) or 0) < 1
    return node.kind in (Kind.DROPOUT, Kind.CONV, Kind.LINEAR)


def strengthens(node: Node) -> bool:
    """Whether what stands on a skip makes it larger: a factor above one, or such a one in the sum."""
    factor = fixed_factor(node) if node.kind is Kind.SCALE else node.fx.kwargs.get("alpha")
    return isinstance(factor, int | float) and abs(factor) > 1


def is_weighted(residual: Residual) -> bool:
    """Whether the sum itself puts a factor on the skip: `torch.add(branch, x, alpha=2)`."""
    second, alpha = residual.node.argument(1, "other"), residual.node.fx.kwargs.get("alpha", 1)
    return isinstance(alpha, int | float) and alpha != 1 and second is residual.skip.operand


def drops(node: Node) -> bool:
    """Whether a dropout is at work in training."""
    return hand_on(node) is None


def ends(node: Node) -> list[Node]:
    """The last nodes of a branch: the operand, and what it hands on or thins out."""
    found = [node]
    while hand_on(node) is not None or node.kind is Kind.DROPOUT:
        node = next(source for source in node.inputs if source.depends)
        found.append(node)
    return found
