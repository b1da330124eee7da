"""What of a model's inputs and weights does nothing: entries and parameters whose gradient is exactly zero, and stays so.

idle(model, args, kwargs, graph)
  +-- gradients at the inputs and parameters, for a random cotangent, in eval mode
  +-- of an input: leaves, channels, steps of zeros; other numbers are put there, and the result must not change by a bit
  +-- of the weights: whole parameters of zeros; all weights are moved a little, then the biases turned, and the gradient must
      stay zero: what a start at zero holds back moves after the first step, and what a rectifier holds back is no wiring
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.figures.calls import Part
from netcheck.load.randomness import seeded
from netcheck.load.untouched import default_dtype
from netcheck.measure.chance import Chanceless
from netcheck.trace import structure
from netcheck.trace.attempts import argument_names
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_NUDGE = 0.1  # of a parameter's root mean square, or of 1 where that is zero
AXES = {2: (1,), 3: (1, 2), 4: (1,)}  # by the dimensions of an input: those of fields, channels and steps
_CHOOSING = frozenset(("topk", "nonzero", "argmax", "argmin", "masked_select", "one_hot", "argwhere", "multinomial", "unique"))


def idle(model: nn.Module, given: Any, graph: ModelGraph) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """(the parts of the inputs that have no influence, the parameters whose gradient is always zero).

    Args:
        model: a copy of the graph's model, in eval mode; its weights are others afterwards.
        given: (args, kwargs).
        graph: the traced model.
    """
    gradients = gradients_at(model, given)
    parts = tuple(part for part in silent_parts(model, given, gradients[0], graph) if has_none(model, given, part))
    zero = [name for name, gradient in gradients[1].items() if gradient is not None and not gradient.any()]
    if chooses(graph):
        return parts, ()
    for change in (nudge, turn_biases):
        if zero:
            change(model)
            again = gradients_at(model, given)[1]
            zero = [name for name in zero if (gradient := again.get(name)) is not None and not gradient.any()]
    return parts, tuple(zero)


def chooses(graph: ModelGraph) -> bool:
    """Whether forward chooses by its values what it uses: another batch may use what this one does not."""
    return bool(graph.reads) or any(node.function in _CHOOSING for node in graph)


Gradients = tuple[list[torch.Tensor | None], dict[str, torch.Tensor | None]]


def gradients_at(model: nn.Module, given: Any) -> Gradients:
    """Gradients at the tensors of numbers among the arguments, in order, and at the parameters that are trained."""
    leaves: list[torch.Tensor] = []

    def leaf(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_floating_point():
            return tensor.clone()
        leaves.append(tensor.detach().clone().requires_grad_())
        return leaves[-1].clone()  # forward may write to it

    with torch.enable_grad():
        args, kwargs = structure.rebuild(given, leaf)
        ends = [end for end in results(model, (args, kwargs)) if end.requires_grad and end.numel()]
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not ends:
            return [None] * len(leaves), {}
        loss = torch.stack([(torch.randn_like(end) * end).sum() for end in ends]).sum()
        found = torch.autograd.grad(loss, [*leaves, *trained.values()], allow_unused=True)
    return list(found[: len(leaves)]), dict(zip(trained, found[len(leaves) :], strict=True))


def results(model: nn.Module, given: Any) -> list[torch.Tensor]:
    """The tensors of numbers that forward gives."""
    args, kwargs = given
    with default_dtype(torch.float32), seeded(0), Chanceless(noise=True):
        return [tensor for _, tensor in structure.tensors(model(*args, **kwargs)) if tensor.is_floating_point()]


def silent_parts(model: nn.Module, given: Any, gradients: list[torch.Tensor | None], graph: ModelGraph) -> Iterator[Part]:
    """The parts of the inputs at which the gradient is zero, while it is not everywhere."""
    order = iter(gradients)
    slides = any(node.kind in (Kind.CONV, Kind.POOL) and len(node.shape or ()) == 3 for node in graph)
    for name, value in argument_names(model, *given):
        tensors = [(path, tensor) for path, tensor in structure.tensors(value) if tensor.is_floating_point()]
        for path, tensor in tensors:
            gradient = next(order)
            label = name + "".join(f"[{key!r}]" if how == "item" else f".{key}" for how, key in path)
            if gradient is None and len(tensors) > 1:
                yield Part(label, None, (), 1)
            if gradient is None or not bool(gradient.any()):
                continue
            for axis in AXES.get(tensor.dim(), ())[: 1 if slides else None]:
                entries = tuple((~reached(gradient, axis)).nonzero().flatten().tolist())
                if entries:
                    yield Part(label, axis, entries, int(tensor.shape[axis]))


def reached(gradient: torch.Tensor, axis: int) -> torch.Tensor:
    """Which entries of a dimension have a gradient that is not zero everywhere."""
    return gradient.abs().amax([dim for dim in range(gradient.dim()) if dim != axis]) != 0


def reaches_all(gradient: torch.Tensor | None) -> torch.Tensor:
    """Whether every channel, field and step of an input has a gradient."""
    if gradient is None:
        return torch.tensor(False)
    parts = [reached(gradient, axis).all() for axis in AXES.get(gradient.dim(), ()) if gradient.numel()]
    return torch.stack([gradient.any(), *parts]).all()


def has_none(model: nn.Module, given: Any, part: Part) -> bool:
    """Whether other numbers in this part of the input change no bit of the result."""

    def changed(label: str, tensor: torch.Tensor) -> torch.Tensor:
        twin = tensor.clone()
        if label == part.name and part.axis is None:
            return torch.randn_like(twin)
        if label == part.name:
            entries = torch.tensor(part.entries)
            twin.index_copy_(part.axis, entries, torch.randn_like(twin.index_select(part.axis, entries)))  # type: ignore[arg-type]
        return twin

    labels = []
    for name, value in argument_names(model, *given):
        for path, _ in structure.tensors(value):
            labels.append(name + "".join(f"[{key!r}]" if how == "item" else f".{key}" for how, key in path))
    order = iter(labels)
    with torch.no_grad():
        before = results(model, structure.rebuild(given, torch.clone))
        other = structure.rebuild(given, lambda tensor: changed(next(order), tensor))
        after = results(model, other)
    return len(before) == len(after) and all(map(torch.equal, before, after))


def nudge(model: nn.Module) -> None:
    """Move all weights a little: what starts at zero no longer holds anything back."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                size = float(parameter.square().mean().sqrt()) if parameter.numel() else 0.0
                parameter.add_(torch.randn_like(parameter), alpha=_NUDGE * (size or 1.0))


def turn_biases(model: nn.Module) -> None:
    """Turn the sign of all biases: what a rectifier holds back by its bias alone, it now lets through."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.dim() == 1:
                parameter.neg_()
