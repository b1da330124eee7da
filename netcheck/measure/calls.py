"""Two calls of a model in eval mode on the same arguments: what they change, and whether they give the same.

    y = f(x)      x, weights and buffers before and after
    z = f(x)      y == z, or forward goes on with something that the first call left behind

Dropout is off and random numbers are at their means, as in eval mode they should be; what is random all the same is NC202's.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.figures.calls import Calls
from netcheck.load.held import changing_only_itself
from netcheck.load.modes import set_training
from netcheck.load.randomness import seeded
from netcheck.load.untouched import default_dtype
from netcheck.measure.axes import BatchAxes
from netcheck.measure.chance import Chanceless, chanceless_copy
from netcheck.measure.derivatives import derivatives
from netcheck.measure.differences import difference
from netcheck.measure.influence import idle
from netcheck.measure.size import MOST_BYTES, Size
from netcheck.trace import structure
from netcheck.trace.attempts import argument_names, can_run_for_real

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

MOST_WORK = 1e10  # FLOPs of both calls: about a quarter of a second of one core
SAMPLES = 2  # that are enough for all of this
ROUNDING = 1e-5  # of two runs of the same kernels


def called(
    graph: ModelGraph, args: Sequence[Any], kwargs: Mapping[str, Any], *, pure: bool = False, all_learn: bool = False
) -> Calls:
    """What calls of a traced model show.

    Args:
        graph: the model, traced on these arguments.
        args: positional arguments of forward.
        kwargs: its keyword arguments.
        pure: whether calls in eval mode are known to change nothing, and to give the same each time.
        all_learn: whether all inputs and weights are known to have a gradient: what does nothing need not be looked for.
    """
    functions = tuple(derivatives(graph))
    if pure and all_learn:
        return Calls(off=0.0, derivatives=functions)
    batch = BatchAxes(graph.model, args, kwargs).batch or 1
    size = Size.of(graph, batch)
    if not can_run_for_real(graph.model) or 2 * batch * size.flops > MOST_WORK or batch * size.activations > MOST_BYTES:
        return Calls(derivatives=functions)
    found = None
    try:
        with default_dtype(torch.float32), seeded(0):
            twin = chanceless_copy(graph.model, torch.float32)
            set_training(twin, False)
        with changing_only_itself(twin):
            given = structure.rebuild(few(graph, args, kwargs), single)
            found = Calls(off=0.0, derivatives=functions) if pure else Calls(*twice(twin, *given), functions)
            if all_learn:
                return found
            silent, useless = idle(twin, given, graph)
            return replace(found, silent=silent, idle=useless)
    except Exception:  # of the user's code: it is made for training alone, or cannot be copied
        return Calls(derivatives=functions) if found is None else found


def few(graph: ModelGraph, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    """The arguments of the first samples, where one tensor holds all of them; else all."""
    axes = BatchAxes(graph.model, args, kwargs)
    return axes.cut(axes.example, 0, SAMPLES) if len(axes.tensors) == 1 and axes.batch > SAMPLES else axes.example


def twice(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], float]:
    """(the arguments that a call writes to, the tensors of the model that it changes, how far a second call is from it)."""
    original = structure.rebuild((tuple(args), dict(kwargs)), single)
    given = structure.rebuild(original, torch.clone)
    before = state_of(model)
    first = run(model, given)
    after = state_of(model)
    written = tuple(name for name, one, clone in both(model, original, given) if is_written(one, clone))
    changed = tuple(name for name, mark in before.items() if after.get(name, mark) != mark)
    size = held_by(model)
    second = run(model, structure.rebuild(original, torch.clone))
    if held_by(model) > size:  # what each call leaves behind may be of other inputs
        run(model, structure.rebuild(original, turned))
        second = run(model, structure.rebuild(original, torch.clone))
    off = difference(second, first) if len(first) == len(second) else float("inf")
    return written, changed, off if off > ROUNDING else 0.0


def is_written(original: torch.Tensor, clone: torch.Tensor) -> bool:
    """Whether anything has written into a clone, be it the same numbers: a few may all lie within the bounds of a `clamp_`.

    Autograd counts what is written, but for what goes through `data`.
    """
    return clone._version > 0 or not torch.equal(original, clone)


def run(model: nn.Module, given: Any) -> list[torch.Tensor]:
    """The floating-point tensors of the result, in memory of their own."""
    args, kwargs = given
    with torch.no_grad(), default_dtype(torch.float32), seeded(0), Chanceless():
        result = model(*args, **kwargs)
    return [tensor.detach().clone() for _, tensor in structure.tensors(result) if tensor.is_floating_point()]


def held_by(model: nn.Module) -> int:
    """How many entries the lists and the like of a model's own attributes have."""
    own = (value for module in model.modules() for name, value in vars(module).items() if not name.startswith("_"))
    return sum(len(value) for value in own if isinstance(value, list | dict | set | deque))


def turned(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers in the opposite order."""
    return tensor.flatten().flip(0).reshape(tensor.shape)


def single(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor on the CPU, in single precision if it holds numbers."""
    twin = tensor.detach().cpu()
    return twin.float() if twin.is_floating_point() else twin.clone()


def state_of(model: nn.Module) -> dict[str, tuple[float, ...]]:
    """For each parameter and buffer of finite numbers, sums that change with its values."""
    named = [*model.named_parameters(), *model.named_buffers()]
    numbers = [(name, tensor.detach()) for name, tensor in named if tensor.is_floating_point() and not tensor.is_sparse]
    sums = {name: (float(tensor.sum()), float(torch.linalg.vector_norm(tensor))) for name, tensor in numbers}
    return {name: both for name, both in sums.items() if all(map(math.isfinite, both))}


def both(model: nn.Module, original: Any, given: Any) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Each tensor of two sets of arguments of the same structure: (the argument, the one, the other)."""
    found = []
    pairs = zip(argument_names(model, *original), argument_names(model, *given), strict=True)
    for (name, one), (_, other) in pairs:
        tensors = zip(structure.tensors(one), structure.tensors(other), strict=True)
        found += [(name, a, b) for (_, a), (_, b) in tensors]
    return found
