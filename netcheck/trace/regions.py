"""A few operations of a graph as a function, to see on small tensors how they behave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from netcheck.load.randomness import preserved_random_state
from netcheck.trace.kinds import Kind
from netcheck.trace.values import TooCostly, ancestors, evaluate

if TYPE_CHECKING:
    from netcheck.trace.node import Node

ELEMENTWISE = frozenset(
    (Kind.ACTIVATION, Kind.POINTWISE, Kind.ADD, Kind.GATE, Kind.SHIFT, Kind.SCALE, Kind.CAST, Kind.IDENTITY, Kind.COMPARE)
)
LOCAL = ELEMENTWISE | {Kind.REDUCE, Kind.RESHAPE, Kind.NORM, Kind.PART}
FARTHEST = 24  # nodes between a composite's origin and its end
_FILLED = {"zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0}


def elementwise(region: list[Node], origin: Node) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The map from `origin` to the region's last node as a function of a float64 tensor (n,); None if it needs more.

    Parameters that it takes (a PReLU's slopes, a Snake's frequencies) are represented by their mean.
    """
    try:
        fixed = {source.fx: _typical(source) for part in region for source in part.inputs if not source.depends}
    except (TooCostly, RuntimeError):  # the second: sparse and quantized tensors have no mean
        return None

    return as_function(region, origin, fixed)


def as_function(region: list[Node], origin: Node, fixed: dict[fx.Node, Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    """What leads from `origin` to the region's last node, where the region's other inputs have the values `fixed`."""

    def function(x: torch.Tensor) -> torch.Tensor:
        known = {**fixed, origin.fx: x}
        for part in region:
            known[part.fx] = run_step(part, known)
        return known[region[-1].fx]  # type: ignore[no-any-return]

    return function


def run_step(part: Node, known: dict[fx.Node, Any]) -> Any:
    """What one operation without state gives where its inputs have the values `known`.

    Raises:
        KeyError: an input is not known. Besides, whatever the operation raises.
    """
    if part.module is not None:
        return _apply_module(part.module, known[part.inputs[0].fx])
    args, kwargs = fx.map_arg((part.fx.args, dict(part.fx.kwargs)), known.__getitem__)
    if part.kind is Kind.CAST:
        return args[0]  # the precision is ours
    if "inplace" in kwargs:
        kwargs = {**kwargs, "inplace": False}
    if part.op == "call_method":
        name = str(part.fx.target)
        name = name.removesuffix("_") if not name.endswith("__") and hasattr(torch.Tensor, name.rstrip("_")) else name
        return getattr(args[0], name)(*args[1:], **kwargs)
    target: Any = part.fx.target
    name = getattr(target, "__name__", "")
    if name.endswith("_") and not name.endswith("__"):
        target = getattr(torch, name.rstrip("_"), None) or getattr(torch.nn.functional, name.rstrip("_"))
    if part.function.startswith("i") and hasattr(torch.Tensor, f"__{part.function}__"):
        target = getattr(__import__("operator"), part.function[1:])
    return target(*args, **kwargs)


def _apply_module(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A module from torch.nn on float64 points, without its state: a PReLU by its mean slope, an RReLU as in eval."""
    if isinstance(module, torch.nn.PReLU):
        weight = module.weight.detach()
        slope = 0.25 if weight.is_meta or type(weight) is not torch.Tensor else float(weight.double().mean())
        return torch.where(x >= 0, x, slope * x)
    if isinstance(module, torch.nn.RReLU):
        return torch.where(x >= 0, x, (module.lower + module.upper) / 2 * x)
    if getattr(module, "inplace", False):
        x = x.clone()
    return module.forward(x)  # type: ignore[no-any-return]


def _typical(node: Node) -> Any:
    """One number for a parameter or constant that an elementwise function takes."""
    if node.function in _FILLED:  # of a shape that only the input tells
        return torch.tensor(_FILLED[node.function], dtype=torch.float64)
    value = constant_value(node)
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.double().mean()
    return value


def constant_value(node: Node) -> Any:
    """The value of a node that does not depend on the input.

    Raises:
        TooCostly: it has none (meta device), or takes more than a few operations to compute.
    """
    known: dict[fx.Node, Any] = {}
    try:
        with torch.no_grad(), preserved_random_state():
            evaluate(ancestors([node.fx]), node.graph.recording.attributes, {}, known)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TooCostly from error
    return known[node.fx]


def common_origin(branches: list[Node]) -> tuple[Node | None, list[Node]]:
    """The nearest node that all branches come from by local operations alone, and the nodes between.

    Searches backwards, always expanding the latest node: when one is left, all branches have met in it.
    """
    frontier = set(branches)
    between: list[Node] = []
    while len(frontier) > 1:
        latest = max(frontier, key=lambda node: node.index)
        frontier.discard(latest)
        sources = [source for source in latest.inputs if source.depends]
        if latest.kind not in LOCAL or not sources or len(between) > FARTHEST:
            return None, []
        between.append(latest)
        frontier.update(sources)
    origin = frontier.pop()
    return origin, sorted(between, key=lambda node: node.index)


def hide(region: Iterable[Node], end: Node) -> None:
    """The inner nodes of a composite are parts of it, unless something else uses them too."""
    inside = {id(part) for part in region}
    for part in region:
        if part is not end and all(id(user) in inside for user in part.users):
            part.kind, part.detail = Kind.PART, "of " + end.name
