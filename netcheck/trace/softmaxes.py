"""A softmax that forward writes out.

exp(z) / exp(z).sum(dim)            a softmax, its largest entry taken off before (as overflow asks for) or not
log(softmax(z)), z - z.logsumexp(dim), z - log(exp(z).sum(dim))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from netcheck.trace.kinds import Kind
from netcheck.trace.regions import as_function, common_origin, constant_value, hide
from netcheck.trace.values import TooCostly

if TYPE_CHECKING:
    from netcheck.trace.node import Node

_TRIED = 4  # entries of each dimension on which a quotient is tried


def find_log_softmax(node: Node) -> None:
    """The logarithm of a softmax that nothing else uses is a log-softmax."""
    (softmax,) = node.inputs
    if softmax.detail == "" and softmax.function != "gumbel_softmax" and all(user is node for user in softmax.users):
        node.kind, node.detail, node.over = Kind.SOFTMAX, "log", softmax.over
        hide([*parts(softmax), softmax, node], node)


def parts(end: Node) -> list[Node]:
    """The nodes that are hidden in a composite."""
    found: dict[Node, None] = {}
    pending = list(end.inputs)
    while pending:
        node = pending.pop()
        if node.kind is Kind.PART and node.detail == f"of {end.name}" and node not in found:
            found[node] = None
            pending += node.inputs
    return list(found)


def find_softmax(node: Node, region: list[Node], origin: Node) -> None:
    """Mark what divides or subtracts a sum of exponentials as the softmax over `node.over` that its numbers show it to be."""
    functions = {part.function for part in region}
    detail = "log" if node.function == "sub" and functions & {"logsumexp", "log"} else ""
    if not (detail or "div" in node.function):
        return
    if origin.function == "exp":  # one exponential serves as numerator and in the sum
        region, origin = [origin, *region], origin.inputs[0]
        varying = [source for source in origin.inputs if source.depends]
        start, between = common_origin(varying) if origin.function == "sub" and len(varying) == 2 else (None, [])
        if start is not None:  # the largest entry is taken off
            region, origin = [*between, origin, *region], start
    elif not functions & {"exp", "logsumexp"}:
        return
    over = dimension(region, origin, torch.log_softmax if detail else torch.softmax)
    if over is not None:
        node.kind, node.detail, node.over = Kind.SOFTMAX, detail, over
        hide(region, node)


def dimension(region: list[Node], origin: Node, function: Callable[[torch.Tensor, int], torch.Tensor]) -> int | None:
    """The dimension over which a region applies `function` to its origin, tried on a few numbers; None if it does not."""
    if not origin.shape or region[-1].shape != origin.shape:
        return None
    x = torch.randn([min(size, _TRIED) for size in origin.shape], generator=torch.Generator().manual_seed(0))
    try:
        fixed = {source.fx: constant_value(source) for part in region for source in part.inputs if not source.depends}
        with torch.no_grad():
            y = as_function(region, origin, fixed)(x)
    except (TooCostly, RuntimeError, TypeError, ValueError, LookupError, AttributeError):
        return None
    alike = (d for d in range(x.dim()) if y.shape == x.shape and torch.allclose(y, function(x, d), atol=1e-4))
    return next(alike, None)
