"""Whether the backward of a custom autograd function is the derivative of its forward.

    <J^T c, v>   against   <c, f(x + e v) - f(x - e v)> / 2e          x, v, c Gaussian, in double precision

One number for each of a few directions v: what a full Jacobian would say, at the price of a few calls. Three things are no
mistake and are told apart: an estimator that lets a gradient through where the forward is flat (rounding, signs, spikes), a
function that hands its input on and changes the gradient alone (reversal, scaling, clipping), and what cannot be run here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from netcheck.figures.calls import Derivative
from netcheck.load.randomness import seeded
from netcheck.load.untouched import default_dtype, untouched
from netcheck.measure.split import operation
from netcheck.trace import structure
from netcheck.trace.calls import AutogradCall

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph
    from netcheck.trace.node import Node

STEP = 1e-6
DIRECTIONS = 3
OFF = 1e-3  # relative: of central differences in double precision, some 1e-9 is left
MOST_NUMBERS = 2**22  # of one argument


def derivatives(graph: ModelGraph) -> Iterator[Derivative]:
    """Each custom function that a model applies, once, on arguments of the shapes that it had first."""
    seen: set[Any] = set()
    for node in graph:
        function = node.fx.target.function if isinstance(node.fx.target, AutogradCall) else None
        if function is None or function in seen or str(function.__module__).startswith("torch."):
            continue
        seen.add(function)
        try:
            with untouched(), default_dtype(torch.float64), seeded(0):
                found = compared(function, node)
        except Exception:  # made for another device, for what its arguments hold, or for one precision
            continue
        if found is not None:
            off, kind = found
            yield Derivative(operation(node, graph), off, kind)


def compared(function: type[torch.autograd.Function], node: Node) -> tuple[float, str] | None:
    """How far a function's backward is from its forward's differences, and what that means; None if nothing can be told."""
    args, kwargs = drawn(node)
    free = [tensor for _, tensor in structure.tensors((args, kwargs)) if tensor.is_floating_point()]
    if not free:
        return None
    worst, flat = 0.0, True
    for _ in range(DIRECTIONS):
        moves = [torch.randn_like(tensor) for tensor in free]
        found = slopes(function, args, kwargs, free, moves)
        if found is None:
            return None
        analytic, numeric, again = found
        if abs(numeric - again) > OFF * max(abs(numeric), abs(again), 1e-12):
            return None  # of forward's values at two steps no derivative can be told: it jumps, or rounds
        flat = flat and abs(numeric) < OFF * abs(analytic)
        worst = max(worst, abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-12))
    if worst <= OFF:
        return worst, "right"
    if hands_on(function, args, kwargs, free):
        return worst, "chosen"
    return worst, "straight-through" if flat or flat_where_wrong(function, args, kwargs, free) else "wrong"


def drawn(node: Node) -> tuple[Any, Any]:
    """Arguments of the shapes that an operation had, of Gaussian numbers.

    Raises:
        ValueError: there are too many, or it takes something that has no shape.
    """

    def draw(one: fx.Node) -> Any:
        source = node.graph.by_fx[one]
        if source.shape is None or source.dtype is None or torch.Size(source.shape).numel() > MOST_NUMBERS:
            raise ValueError
        if source.dtype.is_floating_point:
            return torch.randn(source.shape, dtype=torch.float64, requires_grad=True)
        return torch.zeros(source.shape, dtype=source.dtype)

    args, kwargs = fx.map_arg((node.fx.args, node.fx.kwargs), draw)
    return tuple(args), dict(kwargs)


def slopes(
    function: Any, args: Any, kwargs: Any, free: list[torch.Tensor], moves: list[torch.Tensor]
) -> tuple[float, float, float] | None:
    """(what backward says of a move, what forward's differences say, and at half of the step); None without numbers."""
    ends = outputs(function, args, kwargs)
    ends = [end for end in ends if end.requires_grad]
    if not ends:
        return None
    cotangents = [torch.randn_like(end) for end in ends]
    found = torch.autograd.grad(ends, free, cotangents, allow_unused=True)
    analytic = sum(float((g * move).sum()) for g, move in zip(found, moves, strict=True) if g is not None)

    def difference(step: float) -> float:
        values = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                for tensor, move in zip(free, moves, strict=True):
                    tensor.add_(move, alpha=sign * step)
                there = [end for end in outputs(function, args, kwargs) if end.is_floating_point()]
                for tensor, move in zip(free, moves, strict=True):
                    tensor.sub_(move, alpha=sign * step)
            values.append(sum(float((c * end).sum()) for c, end in zip(cotangents, there, strict=False)))
        return (values[0] - values[1]) / (2 * step)

    return analytic, difference(STEP), difference(STEP / 2)


def outputs(function: Any, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """The tensors that a function gives on copies of its arguments, so that it may write to them."""
    copies = structure.rebuild((args, kwargs), torch.clone)
    return [tensor for _, tensor in structure.tensors(function.apply(*copies[0], **copies[1]))]


def hands_on(function: Any, args: Any, kwargs: Any, free: list[torch.Tensor]) -> bool:
    """Whether a function gives one of its arguments as it was."""
    ends = outputs(function, args, kwargs)
    return len(ends) == 1 and any(end.shape == ends[0].shape and torch.equal(end, ends[0]) for end in free)


def flat_where_wrong(function: Any, args: Any, kwargs: Any, free: list[torch.Tensor]) -> bool:
    """Whether a function works element by element, and its backward differs only where its forward is flat."""
    ends = outputs(function, args, kwargs)
    first = free[0]
    if len(ends) != 1 or ends[0].shape != first.shape:
        return False
    (analytic,) = torch.autograd.grad(ends[0].sum(), [first])
    with torch.no_grad():
        first.add_(STEP)
        above = outputs(function, args, kwargs)[0]
        first.sub_(2 * STEP)
        below = outputs(function, args, kwargs)[0]
        first.add_(STEP)
    numeric = (above - below) / (2 * STEP)
    wrong = (analytic - numeric).abs() > OFF * analytic.abs().maximum(numeric.abs()).clamp(min=1e-12)
    return bool(((numeric.abs() < OFF) | ~wrong).all())
