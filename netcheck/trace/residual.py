"""Residual sums: where an identity is added to what some layers make of it.

    y = x + f(x)          x: the origin    f: the branch    the other operand: the skip

    residuals(graph)
      +-- meeting           the latest node that both operands of a sum come from: the origin
      +-- side              what stands between the origin and an operand; of its ways, the one through the fewest layers
      +-- Residual          the operand that is reached through fewer layers is the skip, the other the branch

A sum whose operands come through equally many layers (two parallel convolutions) has no skip, and is none of these. Nor is
one of unrelated signals (features and positions, two towers): they have no origin nearby.

An in-place operation changes the tensor that the skip carries: the origin is then the node that wrote to it, and the sum
has it among its `outdated` inputs (see `Residual.overwritten`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from torch import fx

from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.question import question
from netcheck.trace.regions import constant_value
from netcheck.trace.values import TooCostly

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

_FARTHEST = 600  # nodes that are searched for the origin of one sum: a block, a stage, a small U-Net
_SAME_NUMBERS = frozenset((
    "contiguous", "view", "view_as", "reshape", "reshape_as", "expand", "expand_as", "flatten", "unflatten", "squeeze",
    "broadcast_to",
))  # fmt: skip
_MIXING = frozenset((Kind.MATMUL, Kind.ATTENTION, Kind.SCRIPT, Kind.UNKNOWN, Kind.SOFTMAX))


@dataclass(frozen=True)
class Side:
    """One operand of a residual sum.

    Attributes:
        operand: what the sum takes.
        way: the nodes after the origin up to the operand, on the way through the fewest layers; none if it is the origin.
        nodes: the nodes on any way from the origin to the operand, in execution order.
    """

    operand: Node
    way: tuple[Node, ...]
    nodes: tuple[Node, ...]

    @property
    def layers(self) -> int:
        """How many layers even the lightest way passes."""
        return sum(is_layer(node) for node in self.way)


@dataclass(frozen=True)
class Residual:
    """A sum of a value and what a branch makes of it.

    Attributes:
        node: the sum.
        origin: the last node that both sides come from.
        skip: the side with fewer layers.
        branch: the other.
    """

    node: Node
    origin: Node
    skip: Side
    branch: Side

    @cached_property
    def projected(self) -> bool:
        """Whether the skip changes the shape, as where the resolution or the number of channels changes."""
        return self.origin.shape != self.skip.operand.shape or any(changes_shape(node) for node in self.skip.way)

    @cached_property
    def spans_stages(self) -> bool:
        """Whether the branch goes to another resolution and back, or holds sums of its own: no block but a part of a net."""
        spatial = (self.origin.shape or ())[2:]
        elsewhere = any((node.shape or ())[2:] != spatial for node in self.branch.nodes if node.kind is Kind.CONV)
        if elsewhere and (self.node.shape or ())[2:] == spatial:
            return True
        return any(node.kind is Kind.ADD for node in self.branch.nodes)

    @cached_property
    def overwritten(self) -> Node | None:
        """The in-place operation that changed what the skip carries after the skip had been named; None if none did."""
        after = next((node for node in self.skip.way if node.function == "after"), None)
        if after is not None:
            return after.inputs[-1]
        readers = [user for user in self.origin.users if user in (self.node, *self.skip.way)]
        return self.origin if is_overwritten(self.origin, readers, self.branch.nodes) else None


def is_overwritten(value: Node, skipping: Iterable[Node], branching: Iterable[Node]) -> bool:
    """Whether some node reads a value by a name from before it was changed in place, where another knows of the change.

    A model that discards the result (`self.relu(x)`) goes on with the old name everywhere, and means the new value; but
    only the module that does so knows, not the one that has called it and adds its own `x`.
    """
    unaware = [reader for reader in skipping if value in reader.outdated]
    aware = [reader for reader in branching if value in reader.inputs]
    if any(value not in reader.outdated for reader in aware):
        return bool(unaware)
    return bool(aware) and any(was_called_by(value, reader) for reader in unaware)


def was_called_by(node: Node, reader: Node) -> bool:
    """Whether a node ran in a part of the module that another ran in."""
    inner, outer = (each.call.owner if each.call else None for each in (node, reader))
    return inner is not None and outer is not None and inner is not outer and any(part is inner for part in outer.modules())


@question
def residuals(graph: Nodes) -> list[Residual]:
    """Every residual sum that the result depends on, in execution order."""
    found = (residual_of(node) for node in graph if node.kind is Kind.ADD and node.live and node.carries)
    return [residual for residual in found if residual is not None]


def residual_at(node: Node) -> Residual | None:
    """The residual sum that a node is; None if it is none."""
    return _by_node(node.graph).get(node)


@question
def _by_node(graph: Nodes) -> dict[Node, Residual]:
    return {found.node: found for found in residuals(graph)}


def overwritten_operand(node: Node) -> Node | None:
    """The operand of x + y that is one tensor under two names, of which one is from before an in-place operation."""
    for operand in operands(node):
        if operand in node.outdated and operands(node).count(operand) > 1:
            return operand
    return None


def residual_of(node: Node) -> Residual | None:
    """The skip and the branch of a sum of two activations; None if it has no such sides."""
    operands = [source for source in node.inputs if source.carries]
    if len(operands) != 2:
        return None
    origin, reached = meeting(operands[0], operands[1])
    if origin is None:
        return None
    sides = [side(operand, origin, reached, bit) for operand, bit in zip(operands, (1, 2), strict=True)]
    skip, branch = sorted(sides, key=lambda each: (each.layers, len(each.way)))
    if skip.layers == branch.layers and (skip.layers or any(hand_on(part) is None for part in skip.way)):
        return None
    return Residual(node, origin, skip, branch)


def meeting(first: Node, second: Node) -> tuple[Node | None, dict[Node, int]]:
    """The latest node that both come from, and the nodes passed: bit 1 of those on the way to `first`, 2 to `second`.

    Searches backwards, the latest node first: each is taken after all that come from it.
    """
    reached = {first: 1}
    reached[second] = reached.get(second, 0) | 2
    pending = [(-node.index, node) for node in reached]
    heapq.heapify(pending)
    for _ in range(_FARTHEST):
        if not pending:
            break
        node = heapq.heappop(pending)[1]
        if reached[node] == 3:
            return node, reached
        for source in node.inputs:
            if source.carries:
                if source not in reached:
                    heapq.heappush(pending, (-source.index, source))
                reached[source] = reached.get(source, 0) | reached[node]
    return None, reached


def side(operand: Node, origin: Node, reached: dict[Node, int], bit: int) -> Side:
    """What stands between the origin and one operand."""
    between = sorted((n for n, mask in reached.items() if mask & bit and n.index > origin.index), key=lambda n: n.index)
    layers: dict[Node, int] = {origin: 0}
    before: dict[Node, Node] = {}
    for node in between:  # those that do not come from the origin are passed over
        nearest = min((s for s in node.inputs if s in layers), key=lambda s: layers[s], default=None)
        if nearest is not None:
            layers[node] = layers[nearest] + is_layer(node)
            before[node] = nearest
    way: list[Node] = []
    node = operand
    while node is not origin:
        way.append(node)
        node = before[node]
    return Side(operand, tuple(reversed(way)), tuple(node for node in between if node in before))


def is_layer(node: Node) -> bool:
    """Whether an operation makes something new of its input: a weight layer, attention, or what is not understood."""
    return is_weight_layer(node) or node.kind in _MIXING


def changes_shape(node: Node) -> bool:
    """Whether a node gives another shape than its source has: a stride, a pooling, other channels."""
    source = next((s for s in node.inputs if s.carries), None)
    return source is not None and source.shape != node.shape


# ---- values that are handed on unchanged ----------------------------------------------------------------------------


def hand_on(node: Node) -> Node | None:
    """The input whose numbers a node hands on as they are, in their order; None if it changes them."""
    source = next((s for s in node.inputs if s.depends), None)
    if source is None:
        return None
    if node.kind in (Kind.IDENTITY, Kind.CAST):
        return source
    if node.kind is Kind.RESHAPE:
        return source if node.function in _SAME_NUMBERS and node.shape == source.shape else None
    if node.kind is Kind.DROPOUT and (node.module is not None or "dropout" in node.function):
        return source if is_idle(node) else None
    if node.kind in (Kind.SHIFT, Kind.SCALE):  # 0 + x is how sum([...]) begins
        neutral = 0 if node.kind is Kind.SHIFT else 1
        numbers = [arg for arg in node.fx.args if isinstance(arg, int | float)]
        return source if numbers == [neutral] and len(node.fx.args) == 2 and not node.fx.kwargs else None
    return None


def is_idle(dropout: Node) -> bool:
    """Whether a dropout drops nothing, even in training."""
    rate = dropout.option("p", 1, 0.5)
    switched_off = dropout.module is None and dropout.argument(2, "training", True) is False
    return rate == 0 or (switched_off and dropout.training)


def fixed_factor(node: Node) -> float | None:
    """The number that a signal is multiplied by, whatever the training does; None if it is trained or differs by element."""
    numbers = [arg for arg in node.fx.args if type(arg) in (int, float)]
    if not numbers:
        operand = next((source for source in node.inputs if not source.depends), None)
        if operand is None or operand.kind is not Kind.CONSTANT or operand.shape not in ((), (1,)):
            return None
        try:
            numbers = [float(constant_value(operand))]
        except TooCostly:
            return None
    factor = float(numbers[0])  # type: ignore[arg-type]
    return 1 / factor if "div" in node.function and factor else factor


def value_of(node: Node) -> Node:
    """The node that made the numbers which `node` hands on."""
    while (source := hand_on(node)) is not None:
        node = source
    return node


def operands(node: Node) -> list[Node]:
    """What a sum adds that depends on the input, in order; twice the same in x + x."""
    arguments = [arg for arg in (*node.fx.args, *node.fx.kwargs.values()) if isinstance(arg, fx.Node)]
    return [operand for arg in arguments if (operand := node.graph.by_fx[arg]).depends]


def terms(node: Node) -> dict[Node, float]:
    """What a sum adds up, sums of sums taken apart: each term as the node that made its numbers, with how often it counts.

    A partial sum that something else uses too (the stream of a pre-norm block) is a term of its own. Forty doublings count
    their only term 10^12 times, so the numbers are those of floats: beyond what one holds, infinity.
    """
    found: dict[Node, float] = {}
    pending: list[tuple[Node, float, bool]] = [(node, 1.0, True)]  # a partial sum has one reader: it comes once
    while pending:
        part, times, is_sum = pending.pop()
        if not is_sum:
            found[part] = found.get(part, 0.0) + times
            continue
        parts: dict[tuple[Node, bool], float] = {}
        for operand in operands(part):
            value = value_of(operand)
            key = value, is_plain_sum(value) and serves_only(value, operand, part)
            parts[key] = parts.get(key, 0.0) + times
        pending += [(value, count, inner) for (value, inner), count in reversed(parts.items())]
    return found


def is_plain_sum(node: Node) -> bool:
    """Whether a node adds activations up, with no sign or weight."""
    return node.kind is Kind.ADD and node.function in ("add", "iadd") and "alpha" not in node.fx.kwargs


def is_partial(node: Node) -> bool:
    """Whether a sum is only a part of another one."""
    return len(node.users) == 1 and is_plain_sum(node.users[0]) and len(operands(node.users[0])) > 1


def serves_only(part: Node, operand: Node, node: Node) -> bool:
    """Whether `node`, which takes the value of `part` as `operand`, is the only one to use it."""
    while operand is not part:
        source = hand_on(operand)
        if operand.users != [node] or source is None:
            return False
        operand, node = source, operand
    return part.users == [node]
