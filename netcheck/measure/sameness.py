"""Whether two models, one of them edited, compute the same from the same state: outputs in both modes, gradients in training.

before, after      built from one seed; what both state dictionaries have goes over from the first into the second
    training       one run of each from one seed: outputs y, gradients of <c, y> for a random cotangent c
    evaluation     one run of each. Batch norms take their statistics from the training run alone (momentum 1), so that one
                   whose input was shifted has shifted statistics: what a training that converged would have made of them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from netcheck.figures.sameness import Sameness
from netcheck.load.modes import set_training
from netcheck.load.raised import describe
from netcheck.load.randomness import seeded
from netcheck.trace import structure

# Largest difference that rounding makes, relative to the norm. Of twelve of torchvision's models with biases before their norms
# and without, the farthest were 1.1e-12 apart in double precision, and 2.6e-2 in single: gradients of deep models in training
# mode (`python -m tests.fix.rounding`). Faults that the tests know are 0.1 apart or more.
ROUNDING = {torch.float64: 1e-6, torch.float32: 5e-2}
TYPES = (torch.float32, torch.float64)
# What is as near as this in single precision is not computed again in double, which takes convolutions six times as long.
CLEARLY_SAME = 1e-4


class Run(NamedTuple):
    """What one model gave: floating outputs in training, in evaluation, and gradients by name."""

    training: list[torch.Tensor]
    evaluation: list[torch.Tensor]
    gradients: dict[str, torch.Tensor]


def sameness(before: nn.Module, after: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sameness:
    """Compare two models, which are not to be used afterwards, on inputs that both take."""
    removed, added, renamed = names_of(before, after)
    failure = ""
    found: Sameness | None = None
    for dtype in TYPES:
        try:
            hand_over(before, after, renamed)
            given = (tuple(args), dict(kwargs))
            one, other = (run(model.to(dtype), structure.rebuild(given, in_type(dtype))) for model in (before, after))
            outputs, gradients = compared(one, other, dict(renamed))
        except Exception as error:  # of the user's code: some run in their own precision alone
            failure = failure or describe(error)
            continue
        found = Sameness(outputs, gradients, removed, added, renamed, ROUNDING[dtype])
        if outputs is None or max(outputs, gradients) <= CLEARLY_SAME:
            break
    return found or Sameness(removed=removed, added=added, renamed=renamed, problem=f"comparing it raised {failure}")


def names_of(before: nn.Module, after: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Names of the state that are gone, that are new, and pairs that changed: all shapes in their order are what they were."""
    old, new = before.state_dict(), after.state_dict()
    if old.keys() != new.keys() and [*map(shape, old.values())] == [*map(shape, new.values())]:
        return (), (), tuple((one, other) for one, other in zip(old, new, strict=True) if one != other)
    gone = tuple(name for name in old if name not in new or shape(old[name]) != shape(new[name]))
    return gone, tuple(name for name in new if name not in old or shape(old[name]) != shape(new[name])), ()


def shape(value: Any) -> Any:
    """The shape of what a state dictionary holds, which may be no tensor."""
    return getattr(value, "shape", None)


def hand_over(before: nn.Module, after: nn.Module, renamed: Sequence[tuple[str, str]]) -> None:
    """Put the one's state into the other, as far as both have it: also what neither or just one of them registers."""
    other, new = dict(renamed), everything(after)
    for name, value in everything(before).items():
        twin = new.get(other.get(name, name))
        if twin is not None and twin is not value and twin.shape == value.shape:
            twin.data.copy_(value.data)


def everything(model: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a model, and those of modules in its plain lists and dicts, as if they were registered."""
    found = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and isinstance(value, list | tuple | dict):
                for inner, held in hidden(value, f"{path}.{name}".removeprefix(".")):
                    found |= {f"{inner}.{rest}".removesuffix("."): one for rest, one in held.items()}
    return found


def hidden(value: Any, path: str, depth: int = 3) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """The modules and tensors in a plain container, by their names if it registered them."""
    if isinstance(value, nn.Module):
        yield path, everything(value)
    elif isinstance(value, torch.Tensor):
        yield path, {"": value}
    elif depth and isinstance(value, list | tuple | dict):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from hidden(part, f"{path}.{key}", depth - 1)


def in_type(dtype: torch.dtype) -> Any:
    """A function that gives a tensor of its own on the CPU, floating ones in this type and with a gradient."""

    def own(tensor: torch.Tensor) -> torch.Tensor:
        twin = tensor.detach().cpu().clone()
        return twin.to(dtype).requires_grad_() if twin.is_floating_point() else twin

    return own


def run(model: nn.Module, given: tuple[tuple[Any, ...], dict[str, Any]]) -> Run:
    """Run a model in training and in evaluation."""
    for part in model.modules():
        if getattr(part, "track_running_stats", False):
            setattr(part, "momentum", 1.0)  # noqa: B010  # as nn.Module types it, an attribute is a tensor
    inputs = [tensor for _, tensor in structure.tensors(given) if tensor.requires_grad]
    wanted = everything(model) | {f"input {number}": one for number, one in enumerate(inputs)}
    args, kwargs = given
    set_training(model, True)
    with seeded(0):
        training = floating(model(*args, **kwargs))
    loss = sum((y * cotangent(y, number)).sum() for number, y in enumerate(training) if y.requires_grad)
    ends = {name: one for name, one in wanted.items() if one.requires_grad}
    found: Sequence[Any] = ()
    if isinstance(loss, torch.Tensor) and ends:
        found = torch.autograd.grad(loss, list(ends.values()), allow_unused=True)
    gradients = {name: one for name, one in zip(ends, found, strict=False) if one is not None}
    set_training(model, False)
    with seeded(0), torch.no_grad():
        evaluation = floating(model(*args, **kwargs))
    return Run([y.detach() for y in training], evaluation, gradients)


def floating(result: Any) -> list[torch.Tensor]:
    """The tensors of a result that hold numbers."""
    return [tensor for _, tensor in structure.tensors(result) if tensor.is_floating_point()]


def cotangent(output: torch.Tensor, number: int) -> torch.Tensor:
    """A random cotangent for an output, the same for each output of this shape at this place."""
    generator = torch.Generator().manual_seed(number)
    return torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.dtype)


def compared(before: Run, after: Run, renamed: Mapping[str, str]) -> tuple[float | None, float]:
    """The largest relative difference of the outputs, None if these have other shapes; and that of the gradients."""
    pairs = [(before.training, after.training), (before.evaluation, after.evaluation)]
    if any([y.shape for y in one] != [y.shape for y in other] for one, other in pairs):
        return None, 0.0
    outputs = max((apart(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)), default=0.0)
    both = list(shared(before.gradients, after.gradients, renamed))
    norm = max((float(torch.linalg.vector_norm(one)) for one, _ in both), default=0.0)
    return outputs, max((apart(one, other, norm) for one, other in both), default=0.0)


def shared(
    before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], renamed: Mapping[str, str]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The gradients of what both models have."""
    for name, gradient in before.items():
        other = after.get(renamed.get(name, name))
        if other is not None and other.shape == gradient.shape:
            yield gradient, other


def apart(one: torch.Tensor, other: torch.Tensor, norm: float = 0.0) -> float:
    """||one - other|| relative to the norm of the first, or to `norm` where that is larger; 0 where both are the same."""
    one, other = one.nan_to_num(), other.nan_to_num()
    distance = float(torch.linalg.vector_norm(one - other))
    return distance / max(float(torch.linalg.vector_norm(one)), norm, 1e-300) if distance else 0.0
