"""Whether a model runs over steps with a state: what the gradient and the samples of a stack of layers tell is not told of it.

nn.LSTM(8, 16), nn.GRUCell(8, 16)                       a layer that is recurrent by itself
for step in x.unbind(1): h = tanh(cell(h) + ...)        weights that are used again on what they gave before
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.paths import sources, unavoidable, ways
from netcheck.trace.question import question
from netcheck.trace.questions.linear_pairs import weights_key

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

_STEPS = 3  # uses of one layer, each behind the one before, that are steps
_ASKED = 4  # layers that are used again at which is looked


@question
def is_recurrent(graph: Nodes) -> bool:
    """Whether every way passes a recurrent layer, or some weights are used for step after step."""
    if unavoidable(graph, lambda node: node.kind is Kind.RECURRENT):
        return True
    uses: dict[object, list[Node]] = {}
    for node in filter(is_weight_layer, ways(graph)):
        uses.setdefault(weights_key(node), []).append(node)
    again = [nodes for nodes in uses.values() if len(nodes) >= _STEPS]
    return any(is_behind(nodes[-1], nodes[-2]) and is_behind(nodes[1], nodes[0]) for nodes in again[:_ASKED])


def is_behind(later: Node, earlier: Node) -> bool:
    """Whether a way leads from one node to another."""
    pending, seen = [later], {later}
    while pending:
        for source in sources(pending.pop()):
            if source is earlier:
                return True
            if source not in seen and source.index > earlier.index:
                seen.add(source)
                pending.append(source)
    return False
