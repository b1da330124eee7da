"""Values of single nodes: computed for real where a graph of fake tensors needs one, or a rule asks for a weight.

Forward may ask a fake tensor for its value: `if mask.all()`, `torch.rand([]) < self.layerdrop`. Where a few cheap
operations lead to that value, they are run for real, and the rest of the model stays fake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import fx

from netcheck.torch_versions import FakeTensor, unset_fake_temporarily
from netcheck.trace import structure
from netcheck.trace.fakes import Fakes

_MOST_NODES = 200
_MOST_ELEMENTS = 1_000_000  # of any one parameter on the way: a value behind a weight matrix is not cheap


class TooCostly(Exception):
    """The value depends on too much of the model to be computed on the side."""


class Values:
    """The real values of the nodes of a recording on fake tensors, computed when asked for.

    Attributes:
        given: the real value of each placeholder.
    """

    def __init__(self, recording: Any, fakes: Fakes) -> None:
        self.given: dict[fx.Node, Any] = {}
        self._recording = recording
        self._fakes = fakes
        self._known: dict[fx.Node, Any] = {}

    def compute(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What `call` gives on the real values of its arguments (tensors in it faked again); None if that costs too much."""
        try:
            with unset_fake_temporarily(), torch.no_grad():
                real = call(*self._real(args), **self._real(kwargs))
        except TooCostly:
            return None
        return structure.rebuild(real, self._fakes.mode.from_tensor)

    def _real(self, argument: Any) -> Any:
        wanted: list[fx.Node] = []
        fx.map_arg(argument, wanted.append)
        evaluate(ancestors(wanted, self._known), self._recording.attributes, self.given, self._known)
        return fx.map_arg(argument, self._known.__getitem__)


def ancestors(wanted: Iterable[fx.Node], known: Mapping[fx.Node, Any] = {}) -> list[fx.Node]:
    """`wanted` and all nodes that they depend on and that are not `known` yet, in execution order.

    Raises:
        TooCostly: there are more than a few.
    """
    found: set[fx.Node] = set()
    pending = list(wanted)
    while pending:
        node = pending.pop()
        if node in found or node in known:
            continue
        found.add(node)
        if len(found) > _MOST_NODES:
            raise TooCostly
        pending += node.all_input_nodes
    return sorted(found)


def evaluate(
    nodes: Iterable[fx.Node],
    attributes: Mapping[str, Any],
    given: Mapping[fx.Node, Any],
    known: dict[fx.Node, Any],
) -> None:
    """Run `nodes` in order, adding the value of each to `known`.

    Raises:
        TooCostly: one of them is a layer with weights, or a large parameter, or has no value (meta device).
    """
    for node in nodes:
        args, kwargs = fx.map_arg((node.args, node.kwargs), known.__getitem__)
        if node.op == "placeholder":
            if node not in given:
                raise TooCostly
            known[node] = structure.rebuild(given[node], torch.clone)
        elif node.op == "get_attr":
            known[node] = _attribute(attributes[str(node.target)])
        elif node.op == "call_module":
            module = attributes[str(node.target)]
            if any(True for _ in module.parameters()):
                raise TooCostly
            known[node] = module.forward(*args, **kwargs)
        elif node.op == "call_method":
            known[node] = getattr(args[0], str(node.target))(*args[1:], **kwargs)
        elif callable(node.target):
            known[node] = node.target(*args, **kwargs)


def _attribute(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if value.is_meta or isinstance(value, FakeTensor) or value.numel() > _MOST_ELEMENTS:
        raise TooCostly
    return value.detach().clone()  # an operation may write to it
