"""What values an operation can have, as far as a few operations before it tell.

bounds(node)             log_softmax: (-inf, 0); 2 * tanh(x) - 3: (-5, -1); a linear layer: anything
constant_operand(node)   the 2 and the 3
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import UNCHANGED, origin

if TYPE_CHECKING:
    from netcheck.trace.graph import Node

Interval = tuple[float, float]

ANYTHING = (-float("inf"), float("inf"))
_FAR = 1e4
_GROWS = _FAR / 20  # what is that large far out has no bound
_DEEPEST = 8  # operations that are followed back


def bounds(node: Node, steps: int = _DEEPEST) -> Interval:
    """The least and the greatest value that a node can have, as far as a few operations tell."""
    source = origin(node)
    if steps == 0 or source is None:
        return ANYTHING
    if keeps_values(node):
        return bounds(source, steps - 1)
    if node.kind is Kind.DROPOUT:  # it sets to zero, and scales up what is left
        low, high = bounds(source, steps - 1)
        return (0.0 if low >= 0 else ANYTHING[0]), (0.0 if high <= 0 else ANYTHING[1])
    if node.kind is Kind.SOFTMAX:
        return (-float("inf"), 0.0) if node.detail == "log" else (0.0, 1.0)
    if node.kind is Kind.ACTIVATION and node.activation is not None and not node.detail:
        return range_of(node.activation.function, bounds(source, steps - 1))
    if node.kind in (Kind.LINEAR, Kind.CONV):
        return bounds_of_layer(node, source, steps)
    return bounds_of_arithmetic(node, bounds(source, steps - 1))


def keeps_values(node: Node) -> bool:
    """Whether every number of the result is one of the numbers that came in."""
    if node.kind is Kind.POOL:
        return node.detail == "max"
    if node.kind is Kind.INDEX:  # not scatter and masked_fill, which put numbers in
        return node.function in ("getitem", "select", "narrow", "index_select", "chunk", "split", "unbind")
    return node.kind in UNCHANGED and not node.detail


def range_of(function: Any, between: Interval) -> Interval:
    """The values of an activation for inputs in an interval; infinite where it still grows far out."""
    import torch

    low, high = max(between[0], -_FAR), min(between[1], _FAR)
    values = function(torch.linspace(low, high, 4001, dtype=torch.float64))
    least, greatest = float(values.min()), float(values.max())
    return (least if least > -_GROWS else ANYTHING[0]), (greatest if greatest < _GROWS else ANYTHING[1])


def bounds_of_layer(node: Node, source: Node, steps: int) -> Interval:
    """Weights of one sign on inputs of one sign."""
    from netcheck.trace.weights import weight_of

    weight = weight_of(node)
    if weight is None or max(weight.matrix[0, :8].tolist()) > 0:
        return ANYTHING
    if bool((weight.matrix[:1] > 0).any()) or not bool(weight.matrix.any()):
        return ANYTHING  # of zeros, constant-weights says so
    if bounds(source, steps - 1)[0] < 0 or bool((weight.matrix > 0).any()):
        return ANYTHING
    return -float("inf"), 0.0 if weight.bias is None else float(weight.bias.max())


def bounds_of_arithmetic(node: Node, between: Interval) -> Interval:
    """Signs, shifts and scales by a number."""
    low, high = between
    if node.function in ("neg", "negative"):
        return -high, -low
    number = constant_operand(node)
    if isinstance(number, int | float) and number:
        if node.kind is Kind.SHIFT and node.function in ("add", "iadd"):
            return low + number, high + number
        if node.kind is Kind.SHIFT and node.function in ("sub", "isub", "subtract") and first_varies(node):
            return low - number, high - number
        if node.kind is Kind.SCALE:  # a quotient keeps the sign that a product has
            factor = number if "mul" in node.function else 1 / number
            ends = sorted((low * factor, high * factor))
            return ends[0], ends[1]
    return ANYTHING


def constant_operand(node: Node) -> Any:
    """The operand of a sum or product that does not depend on the input: a number, a tensor, or None."""
    from netcheck.trace.regions import constant_value
    from netcheck.trace.values import TooCostly

    numbers = [arg for arg in node.fx.args if type(arg) in (int, float)]
    fixed = [source for source in node.inputs if not source.depends]
    if len(numbers) + len(fixed) != 1:
        return None
    if numbers:
        return numbers[0]
    try:
        value = constant_value(fixed[0])
    except TooCostly:
        return None
    return float(value) if getattr(value, "numel", lambda: 0)() == 1 else value


def first_varies(node: Node) -> bool:
    """Whether the first operand is the one that depends on the input: x - a, not a - x."""
    return bool(getattr(node.argument(0, "input"), "depends", False))
