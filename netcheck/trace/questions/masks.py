"""Masks: what is filled in, added to or multiplied with scores right before a softmax, so that entries do not count.

masks_before(softmax)     (operation, mask)
weak_mask(softmax)        (operation, the number that it leaves in the place of hidden scores), if no other mask hides them
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from netcheck.trace.kinds import Kind
from netcheck.trace.node import Node
from netcheck.trace.questions import softmax_dimension
from netcheck.trace.regions import constant_value
from netcheck.trace.values import TooCostly

_SAME = frozenset((Kind.RESHAPE, Kind.CAST, Kind.IDENTITY, Kind.INDEX))
_THROUGH = _SAME | {Kind.SCALE, Kind.SHIFT, Kind.POINTWISE}
_FAR = 20  # operations between a mask and what it is made of
FILLING = ("masked_fill", "where")
MULTIPLYING = ("mul", "imul", "multiply")
ADDING = frozenset((Kind.ADD, Kind.SHIFT))
_SUBTRACTING = ("sub", "isub", "subtract", "rsub")


def masks_before(softmax: Node) -> Iterable[tuple[Node, Node]]:
    """What is filled in or added to the scores right before a softmax, or multiplies them: (the operation, the mask)."""
    node = softmax.inputs[0] if softmax.inputs else None
    while node is not None and node.shape == softmax.shape:
        masks = [source for source in node.inputs if is_mask(source)]
        if node.function in FILLING or node.kind in ADDING or (masks and node.function in MULTIPLYING):
            yield from ((node, mask) for mask in masks)
        elif node.kind not in (Kind.SCALE, Kind.CAST, Kind.DROPOUT):
            return
        node = next((source for source in node.inputs if source not in masks and source.shape == node.shape), None)


def is_mask(node: Node) -> bool:
    """Whether a value comes of truth values or whole numbers alone, in another shape or scale; or is a constant of 0 and 1."""
    start = node
    for _ in range(_FAR):
        if node.dtype is not None and not node.dtype.is_floating_point:
            return True
        sources = [source for source in node.inputs if source.shape is not None]
        if node.kind not in _THROUGH or len(sources) != 1:
            return is_binary(start)
        node = sources[0]
    return False


def is_binary(node: Node) -> bool:
    """Whether a constant holds zeros and ones, and both."""
    value = None if node.kind is Kind.PARAMETER else known(node)
    return value is not None and bool(((value == 0) | (value == 1)).all()) and 0 < int(value.count_nonzero()) < value.numel()


def is_binary_sum(node: Node, mask: Node) -> bool:
    """Whether an operation adds a mask to scores that is still 0 and 1."""
    while mask.kind in _SAME and mask.inputs and mask.dtype != torch.bool:
        mask = mask.inputs[0]
    return node.kind in ADDING and node.function not in _SUBTRACTING and (mask.dtype == torch.bool or is_binary(mask))


def filled_in(node: Node, mask: Node) -> float | None:
    """The largest number that an operation leaves of masked scores, beside those that are kept; None if that is not known."""
    if node.function in MULTIPLYING:
        return 0.0
    if is_binary_sum(node, mask):
        return -1.0  # 0 is added to hidden ones, 1 to the others
    if node.function not in FILLING:
        return None
    places = (
        (node.argument(2, "value"),) if node.function == "masked_fill" else (node.argument(1, "input"), node.argument(2, "other"))
    )
    for value in places:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        constant = known(value) if isinstance(value, Node) else None
        if constant is not None and constant.is_floating_point() and constant.numel():
            return float(constant.max())
    return None


def known(node: Node) -> torch.Tensor | None:
    """The value of what does not depend on the inputs; None if it is not known."""
    if node.depends:
        return None
    try:
        value = constant_value(node)
    except TooCostly:
        return None
    return value if isinstance(value, torch.Tensor) else None


def weak_mask(softmax: Node) -> tuple[Node, float] | None:
    """The first operation before a softmax that hides scores, and the largest number that all such operations leave of them.

    None where a mask hides nothing by itself, its number is not known, or the weights are masked again behind the softmax.
    """
    if softmax.kind is not Kind.SOFTMAX or not softmax.live or (softmax_dimension.size(softmax) or 0) < 2:
        return None
    if any(user.function in (*FILLING, *MULTIPLYING) and any(map(is_mask, user.inputs)) for user in softmax.users):
        return None
    left = [(step, filled_in(step, mask)) for step, mask in masks_before(softmax) if (extent(mask, softmax) or 0) > 1]
    values = [value for _, value in left if value is not None]
    return (left[0][0], min(values)) if left and len(values) == len(left) else None


def extent(mask: Node, softmax: Node) -> int | None:
    """How many entries a mask has along the dimension of a softmax; None if it does not stand along it by itself."""
    dim, rank = softmax_dimension.dimension(softmax), len(softmax.shape or ())
    if dim is None or not mask.shape:
        return None
    position = dim - rank + len(mask.shape)
    varies = any(size > 1 for size in mask.shape)
    return mask.shape[position] if position >= 0 and varies else None
