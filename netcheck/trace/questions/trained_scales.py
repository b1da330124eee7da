"""Trained scales that start small (LayerScale): they learn first, and let the gradient of what they multiply through later.

behind(graph)     the nodes from which every way to the result passes one
lost(graph)       what every way from the input to the result loses to them, and the last of them
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from netcheck.trace.kinds import Kind
from netcheck.trace.paths import sources, ways
from netcheck.trace.question import question
from netcheck.trace.questions.readers import picks_one

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

_EACH = frozenset((Kind.NORM, Kind.DROPOUT, Kind.IDENTITY, Kind.CAST, Kind.PART))  # what leaves each token where it is
NEARLY_SHUT = 0.1  # a scale below which a branch adds a hundredth of the variance of an unscaled one, or less


@question
def behind(graph: Nodes) -> frozenset[Node]:
    """The nodes from which every way to the main output passes a trained scale of less than `NEARLY_SHUT`."""
    nodes = ways(graph)
    open_nodes = set(nodes[-1:])
    for node in reversed(nodes):
        if node in open_nodes and not is_shut(node):
            open_nodes.update(sources(node))
    return frozenset(node for node in nodes if node not in open_nodes or is_shut(node))


@question
def lost(graph: Nodes) -> tuple[float, Node | None]:
    """The decades that are lost on the way from input to main output which loses fewest, and the last scale on it."""
    best: dict[Node, tuple[float, Node | None]] = {}
    way: tuple[float, Node | None] = (0.0, None)
    for node in ways(graph):
        way = max((best[source] for source in origins(node) if source in best), key=lambda each: each[0], default=(0.0, None))
        if is_shut(node):
            way = way[0] + math.log10(trained_scale(node)), node
        best[node] = way
    return way


def origins(node: Node) -> list[Node]:
    """Where a value is from: of the first of several tokens that were joined, only what came first (a class token)."""
    joined = node.inputs[0] if node.kind is Kind.INDEX and node.inputs and picks_one(node, 1) else None
    while joined is not None and joined.kind in _EACH and joined.inputs:
        joined = joined.inputs[0]
    if joined is None or joined.kind is not Kind.CAT or joined.argument(1, "dim") != 1 or entry(node) != 0:
        return sources(node)
    return [source for source in joined.inputs[:1] if source.carries]


def entry(node: Node) -> Any:
    """Which entry of dimension 1 an index picks."""
    index: Any = node.fx.args[1]
    return node.argument(2, "index") if node.function == "select" else index[1]


def is_shut(node: Node) -> bool:
    """Whether an operation multiplies by a trained scale that is nearly zero, and not zero."""
    return 0 < trained_scale(node) < NEARLY_SHUT


@question
def trained_scale(node: Node) -> float:
    """The rms of the parameter that an operation scales its input by; 1 for any other."""
    if node.function != "mul":
        return 1.0
    scales = [parameter_behind(source) for source in node.inputs if source.kind is Kind.PARAMETER]
    return min((rms_of(scale) for scale in scales if isinstance(scale, torch.Tensor)), default=1.0)


def parameter_behind(node: Node) -> Any:
    """The parameter that a node reads, or reads a view of; None if it is made of several."""
    while node.op != "get_attr" and len(node.inputs) == 1:
        node = node.inputs[0]
    return node.graph.recording.attributes.get(str(node.fx.target))


def rms_of(tensor: torch.Tensor) -> float:
    """Of a parameter, on whatever device."""
    values = tensor.detach()
    return float(values.abs().double().square().mean().sqrt())
