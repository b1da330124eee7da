"""Whether attention stands all along a net, as in a transformer.

nn.MultiheadAttention, F.scaled_dot_product_attention            attention by itself
softmax(q @ k.transpose(-2, -1)) @ v                             written out: a product with a softmax, dropped out or not
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.paths import ways
from netcheck.trace.question import question
from netcheck.trace.questions.neighbours import UNCHANGED, before

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

_THROUGH = UNCHANGED | {Kind.DROPOUT}
_LAYERS = 8  # weight layers to an attention at the most: queries, keys, values, output, two or three behind it


@question
def attends(graph: Nodes) -> bool:
    """Whether attention stands all along: one for every block of weight layers."""
    nodes = ways(graph)
    return _LAYERS * sum(map(is_attention, nodes)) >= max(1, sum(map(is_weight_layer, nodes)))


def is_attention(node: Node) -> bool:
    """Whether what a node makes is values, weighed by a softmax."""
    return node.kind is Kind.ATTENTION or (node.kind is Kind.MATMUL and any(map(is_softmax, node.inputs)))


def is_softmax(node: Node) -> bool:
    """Whether a value is the result of a softmax, in another shape, or some of it dropped."""
    made = before(node, _THROUGH) if node.kind in _THROUGH else node
    return made is not None and made.kind is Kind.SOFTMAX
