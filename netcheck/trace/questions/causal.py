"""Attention under a causal mask: no step sees a later one.

causal_attentions(graph)     [(node, steps)] for nn.MultiheadAttention and F.scaled_dot_product_attention with `is_causal` or a
                             triangular mask, and for a softmax before which such a mask is filled in or added
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from netcheck.trace.kinds import Kind
from netcheck.trace.question import question
from netcheck.trace.regions import constant_value
from netcheck.trace.values import TooCostly

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph
    from netcheck.trace.node import Node

_FORBIDDEN = -1e3  # what is added to a score that must not count
_FAR = 6  # operations between a mask and its softmax


@question
def causal_attentions(graph: ModelGraph) -> list[tuple[Node, int]]:
    """The operations that look at no later step, each with how many steps there are."""
    return [(node, steps) for node in graph if node.live and (steps := causal_steps(node)) is not None]


def causal_steps(node: Node) -> int | None:
    """How many steps an attention has that looks at no later one; None if it is none, or looks at all."""
    if node.function == "scaled_dot_product_attention":
        query = node.inputs[0].shape or ()
        causal = node.argument(5, "is_causal", False) is True or is_triangular(node.argument(3, "attn_mask"))
        return query[-2] if causal and len(query) > 1 else None
    if node.kind is Kind.ATTENTION and node.detail == "module":
        mask = node.argument(5 if node.module is not None else 20, "attn_mask")
        return mask.shape[-1] if is_triangular(mask) else None
    if node.kind is Kind.SOFTMAX and node.shape and len(node.shape) > 1 and node.shape[-1] == node.shape[-2]:
        return node.shape[-1] if any(map(is_triangular, added_before(node))) else None
    return None


def added_before(softmax: Node) -> Iterator[Any]:
    """The constants that are filled in or added to the scores before a softmax."""
    node = softmax
    for _ in range(_FAR):
        yield from (source for source in node.inputs if not source.depends and source.shape)
        before = next((source for source in node.inputs if source.depends and source.shape == softmax.shape), None)
        if before is None:
            return
        node = before


def is_triangular(mask: Any) -> bool:
    """Whether a constant keeps exactly the steps after each step apart from those up to it, by truth values or by numbers."""
    shape = getattr(mask, "shape", None)
    if not shape or len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2 or getattr(mask, "depends", True):
        return False
    try:
        value = constant_value(mask)
    except TooCostly:
        return False
    if not isinstance(value, torch.Tensor):
        return False
    value = value.reshape(-1, *value.shape[-2:])[0]
    if value.dtype is torch.bool:
        apart = value
    elif value.is_floating_point() and bool((value < _FORBIDDEN).any()):
        apart = value < _FORBIDDEN
    else:
        apart = value == 0  # `mask == 0` marks what is filled
    later = torch.ones_like(apart, dtype=torch.bool).triu(1)
    return torch.equal(apart, later) or torch.equal(~apart, later)
