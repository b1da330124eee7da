"""What the rules about dropout share: how much is dropped, and when.

nn.Dropout(0.1)                                    a module: its p, and its training flag
F.dropout(x, 0.1, self.training)                   a function: its arguments
F.scaled_dot_product_attention(..., dropout_p)     inside of attention; nn.LSTM(dropout=...) between its layers
x * (torch.rand_like(x) > 0.1)                     written out: the rate stands in the user's arithmetic
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_OFF_BY_DEFAULT = ("alpha_dropout", "feature_alpha_dropout")
_MASKING = ("masked_fill", "where")
_DECIDES = frozenset(("lt", "le", "gt", "ge", "less", "greater", "bernoulli", "floor", "round", "dropout"))


def rate(node: Node) -> float | None:
    """The share of elements (channels, samples) that a node drops when it is on; None if it is no such
    number.
    """
    if node.kind is Kind.DROPOUT and not is_mask(node):
        value = node.option("p", 1, 0.5)
    elif node.kind is Kind.ATTENTION:
        position = 4 if node.function == "scaled_dot_product_attention" else 10
        value = node.option("dropout" if node.module is not None else "dropout_p", position, 0.0)
    elif node.kind is Kind.RECURRENT and node.module is not None:
        layered = getattr(node.module, "num_layers", 1) > 1  # it drops between layers
        value = getattr(node.module, "dropout", 0.0) if layered else 0.0
    else:
        return None
    return float(value) if isinstance(value, int | float) else None


def is_on(node: Node) -> bool:
    """Whether a node dropped anything when it was recorded."""
    if is_mask(node):
        return True
    if not rate(node):
        return False
    if node.module is not None:
        return node.training
    if node.function == "scaled_dot_product_attention":
        return True  # it has no other switch than its rate
    default = node.function not in _OFF_BY_DEFAULT
    position = 13 if node.kind is Kind.ATTENTION else 2
    return bool(node.fx.kwargs.get("train", node.argument(position, "training", default)))


def is_mask(node: Node) -> bool:
    """Whether a node sets elements of the signal to zero by random numbers that the user's code draws."""
    if not node.random or not (node.kind is Kind.DROPOUT or node.function in _MASKING):
        return False
    if node.function.endswith("dropout") or chooses(node):
        return False  # of random numbers that were passed as p, or of which of two values it is
    pending = [source for source in node.inputs if source.random and not source.depends]
    while pending:
        source = pending.pop()
        if source.function in _DECIDES:
            return True
        pending += [before for before in source.inputs if before.random]
    return False


def dropouts(graph: ModelGraph) -> list[tuple[Node, float]]:
    """Every dropout of the signal that is on in training, with its rate: not those inside attention and
    RNNs.
    """
    found = [(node, rate(node)) for node in graph if node.kind is Kind.DROPOUT and node.live and node.depends]
    return [(node, p) for node, p in found if p and (node.module is not None or is_on(node))]


def chooses(node: Node) -> bool:
    """Whether `torch.where(mask, a, b)` takes one of two values that are both computed or trained: nothing is dropped."""
    from netcheck.trace.node import Node

    if node.function != "where":
        return False
    values = (node.argument(1, "input"), node.argument(2, "other"))
    return all(isinstance(value, Node) and is_computed(value) for value in values)


def is_computed(value: Node) -> bool:
    """Whether a value comes of the input or of a tensor that the model holds, and is no constant that forward makes."""
    if value.depends:
        return True
    pending, seen = [value], {value}
    while pending:
        node = pending.pop()
        if node.op == "get_attr":
            return True
        fresh = [source for source in node.inputs if not source.depends and source not in seen]  # of others only the shape
        seen.update(fresh)
        pending += fresh
    return False
