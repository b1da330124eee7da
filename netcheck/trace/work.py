"""How much arithmetic the weight layers of a graph do, from their shapes: two FLOPs for each weight and position."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from netcheck.trace.kinds import is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


def work_of_layers(graph: ModelGraph) -> dict[str, int]:
    """FLOPs of each weight layer as its shapes tell: two for each weight and position of the result."""
    work: dict[str, int] = {}
    for node in graph:
        if is_weight_layer(node) and node.shape and node.kind != "embedding":
            work[node.path] = work.get(node.path, 0) + flops_of(node)
    return work


def flops_of(node: Node) -> int:
    """FLOPs of one call of a weight layer; exact for convolutions and linear layers."""
    module = node.module
    shape: tuple[int, ...] = tuple(node.shape or ())
    operands = [source for source in node.inputs if not source.depends]  # of F.linear, x @ w, einsum("...", [x, w])
    given = [w.shape or () for w in (operands if module is None else module.parameters())]
    weights = [tuple(each) for each in given if len(each) > 1]
    if node.kind == "conv" and weights:
        source = node.inputs[0].shape if node.detail == "transpose" else shape
        return 2 * prod(map(int, source or ())) * prod(map(int, weights[0][1:]))
    return 2 * prod(shape[:-1]) * sum(map(prod, weights))
