"""The mean and standard deviation of each unit of a layer or a norm, from its weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import origin
from netcheck.trace.questions.ranges import constant_operand, first_varies

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import Node

_UNIT_KEPT = frozenset((Kind.IDENTITY, Kind.CAST, Kind.PART, Kind.DROPOUT))
_SAME = 1e-9
_NEGATIVE = -0.05  # a median bias that is worth a look at the weights


def unit_moments(node: Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mean and standard deviation (n,) of each unit of a layer or norm, also after adding a number; None if
    not known.
    """
    shift = 0.0
    while (source := origin(node)) is not None and node.kind in (*_UNIT_KEPT, Kind.SHIFT):
        if node.kind is Kind.SHIFT:
            number = constant_operand(node)
            if not isinstance(number, int | float) or not first_varies(node):
                return None
            shift += -number if "sub" in node.function else number
        node = source
    if source is None:
        return None
    known = None
    if node.kind is Kind.NORM:
        known = moments_of_norm(node)
    elif node.kind in (Kind.LINEAR, Kind.CONV):
        known = moments_of_layer(node, source)
    return (known[0] + shift, known[1]) if known is not None else None


def is_as_built(norm: Node) -> bool:
    """Whether a norm gives values around 0 as PyTorch builds it: half of what each unit gets is positive."""
    from netcheck.trace.weights import has_values

    weight, bias = norm.member("weight"), norm.member("bias")
    return has_values(weight) and has_values(bias) and bool(weight.all()) and not bool(bias.any())


def moments_of_norm(node: Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    """A norm's units have its bias as mean and its scale as standard deviation, whatever comes in."""
    import torch

    from netcheck.trace.weights import has_values

    if node.detail not in ("batch", "layer", "group", "instance"):
        return None
    weight, bias = node.member("weight"), node.member("bias")
    if not isinstance(weight, torch.Tensor):
        plain = node.module is not None or all(source.depends for source in node.inputs)
        return (torch.zeros(1), torch.ones(1)) if plain else None
    if not has_values(weight):
        return None
    scale = weight.detach().double().abs().flatten()
    shift = bias.detach().double().flatten() if isinstance(bias, torch.Tensor) else torch.zeros_like(scale)
    return torch.where(scale == 0, shift - _SAME, shift), scale  # a scale of 0 stays at the edge for good


def is_pytorchs_draw(bias: torch.Tensor, fan_in: int) -> bool:
    """Whether biases (n,) may be as `reset_parameters` draws them: uniform within ±1/√fan_in, so no two are equal."""
    return bool((bias.abs() * fan_in**0.5 <= 1).all()) and bool(bias.unique().numel() == bias.numel())


def moments_of_layer(node: Node, source: Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Z = W x + b for x of the estimated mean m and mean square q: b (or b + m ΣW, if that is more), and |W|
    sqrt(q).
    """
    from netcheck.trace.budget import diagnosis
    from netcheck.trace.moments import Moments
    from netcheck.trace.weights import weight_of

    weight = weight_of(node)
    if weight is None or weight.bias is None or weight.bias.numel() != weight.matrix.shape[0]:
        return None
    bias, matrix = weight.bias.double(), weight.matrix
    if float(bias.median()) > _NEGATIVE or weight.is_constant:
        return None  # most units have no negative bias to speak of; that weights are equal is a fault of its own
    if is_pytorchs_draw(bias, matrix.shape[1]):
        return None  # of few units most are negative by chance; what is squeezed (an average over positions) hardly varies then
    given = diagnosis(node.graph).network.as_built.moments.get(source, Moments())
    spread = matrix.square().sum(1).double().sqrt() * given.q**0.5
    return bias + (given.m * matrix.sum(1)).clamp(min=0), spread
