"""What keeps every gradient from a layer.

cut_off(graph)
  +-- reached_by_gradients   back from the outputs, along what passes gradients
  +-- first_stop             what a layer's value meets first that passes none
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.trace.kinds import FUNCTIONS, Kind

if TYPE_CHECKING:
    from torch import nn

    from netcheck.trace.graph import ModelGraph, Node

# Functions whose gradient is zero almost everywhere.
_STEPS = frozenset(("round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside", "bernoulli"))
_COPIES = frozenset(("detach", "tensor", "new_tensor", "numpy", "from_numpy"))  # without history


@dataclass(frozen=True, slots=True)
class Cut:
    """What stops the gradient, and the layers behind it."""

    stops: tuple[Node, ...]
    layers: tuple[Node, ...]

    @property
    def text(self) -> str:
        """For people: "`Tensor.detach`"."""
        stop = self.stops[0]
        if not stop.grad_enabled:
            return "torch.no_grad()"
        if stop in stop.graph.reads:
            return "taking a Python number from a tensor"
        if stop.function == "getattr":
            return "`.data`"
        return f"`{stop.target}`"


def cut_off(graph: ModelGraph) -> Iterator[Cut]:
    """For each layer whose parameters no gradient reaches, what stops it first on the way to the output."""
    reached = reached_by_gradients(graph)
    doubtful = [node for node in graph if node not in reached and node in graph.used and trainable(node)]
    if not doubtful:
        return
    alive = {id(p) for node in reached for p in trainable(node)}
    updated = updated_in_forward(graph)
    for node in doubtful:
        if any(id(p) not in alive and id(p) not in updated for p in trainable(node)):
            stop = first_stop(node)
            if stop is not None:
                yield Cut((stop,), (node,))


def trainable(node: Node) -> list[nn.Parameter]:
    """The parameters of an operation that ask for a gradient: its module's, or the one that it reads."""
    from torch import nn

    if node.op == "get_attr":
        value = node.graph.recording.attributes.get(str(node.fx.target))
        return [value] if isinstance(value, nn.Parameter) and value.requires_grad else []
    return [p for p in node.module.parameters() if p.requires_grad] if node.module is not None else []


def reached_by_gradients(graph: ModelGraph) -> set[Node]:
    """The nodes that a gradient reaches from an output, or from what forward leaves in the model."""
    pending = [
        *(node for node in graph if node.op == "output"),
        *(node for node in graph.kept if passes(node)),
    ]
    found = set(pending)
    while pending:
        for source in pending.pop().inputs:
            if source not in found and passes(source):
                found.add(source)
                pending.append(source)
    return found


def passes(node: Node) -> bool:
    """Whether a gradient that arrives at a node's result reaches its arguments."""
    floating = node.dtype is None or node.dtype.is_floating_point or node.dtype.is_complex
    if not node.grad_enabled and node.op != "get_attr":
        return False
    blocked = node.kind is Kind.DETACH or node.function in _STEPS or node.function in _COPIES
    blocked = blocked or FUNCTIONS.get(node.function, (None,))[0] is Kind.COMPARE
    blocked = blocked or (node.function == "getattr" and node.fx.args[1] == "data")
    return floating and not blocked


def first_stop(layer: Node) -> Node | None:
    """The nearest node after a layer (or the layer itself) that passes no gradient."""
    if layer.op != "get_attr" and not passes(layer):
        return layer
    pending, seen = [layer], {layer}
    while pending:
        node = pending.pop(0)
        if node in node.graph.reads:
            return node
        for user in consumers(node):
            if user not in seen:
                if not passes(user) and user.op != "output":
                    return user
                seen.add(user)
                pending.append(user)
    return None


def consumers(node: Node) -> list[Node]:
    """The nodes that take a node's value and count for anything."""
    return [node.graph.by_fx[user] for user in node.fx.users if node.graph.by_fx[user] in node.graph.used]


def updated_in_forward(graph: ModelGraph) -> set[int]:
    """The parameters that forward itself writes to."""
    found: set[int] = set()
    for node in graph.kept:
        while node.inputs:
            node = node.inputs[0]
        found |= {id(p) for p in trainable(node)}
    return found


def group_by_place(cuts: Iterable[Cut]) -> list[Cut]:
    """Cuts of one line (a loop), and the layers of one no_grad block, together."""
    groups: dict[object, list[Cut]] = {}
    for cut in cuts:
        stop = cut.stops[0]
        key = stop.target, str(stop.called_at)
        groups.setdefault(key if stop.grad_enabled else "no_grad", []).append(cut)
    return [
        Cut(
            tuple(dict.fromkeys(stop for cut in group for stop in cut.stops)),
            tuple(dict.fromkeys(layer for cut in group for layer in cut.layers)),
        )
        for group in groups.values()
    ]


def layers_text(layers: tuple[Node, ...]) -> str:
    """For people: "the weights of `encoder.0` and 3 more"."""
    names = list(dict.fromkeys(str(node.fx.target) if node.op == "get_attr" else node.path for node in layers))
    return f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
