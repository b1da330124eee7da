"""The gradient of a function of one tensor, taken node by node: without the engine of autograd.

    x (n,) --f--> y (n,)         pullback(y, x) = d sum(y) / dx (n,), to the last bit what torch.autograd.grad gives

The engine's first run starts a thread for each accelerator, with its driver, after which no process can be forked that runs
backward. Looking at the slope of an activation is not worth that.
"""

from __future__ import annotations

import heapq

import torch

from netcheck.torch_versions import GraphNode, results_of, step_back, when_made


def pullback(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
    """What ones at `value` (n,) come to at the leaf `x` (n,); None if nothing does.

    Raises:
        Exception: whatever the derivative of an operation raises.
    """
    if value is x:
        return torch.ones_like(x)
    arrived: list[torch.Tensor] = []  # at x
    waiting: dict[GraphNode, list[torch.Tensor | None]] = {}  # by operation: the gradients of its results
    latest: list[tuple[int, int, GraphNode]] = []  # the operation made last comes first: all that came of it is done by then

    def hand(node: GraphNode | None, result: int, gradient: torch.Tensor | None) -> None:
        if node is None or gradient is None:
            return
        if hasattr(node, "variable"):  # a leaf
            if node.variable is x:
                arrived.append(gradient.sum_to_size(x.shape))
            return
        if node not in waiting:
            waiting[node] = [None] * len(results_of(node))
            heapq.heappush(latest, (-when_made(node), id(node), node))
        gradient = gradient.sum_to_size(results_of(node)[result].shape)
        before = waiting[node][result]
        waiting[node][result] = gradient if before is None else before + gradient

    with torch.no_grad():
        hand(value.grad_fn, value.output_nr, torch.ones_like(value))
        while latest:
            node = heapq.heappop(latest)[-1]
            for source, result, gradient in step_back(node, waiting.pop(node)):
                hand(source, result, gradient)
    return sum(arrived[1:], arrived[0]) if arrived else None
