"""What PyTorch itself says of a net: whether it runs, whether it can be trained, what it gives. Shares no code with netcheck.

run(build, training=True)    Eager(result, forward="", backward="RuntimeError: one of the variables needed ...")
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import nn

SEED = 0  # as netcheck traces: a number that forward draws outside of torch is a constant of the graph
Build = Callable[[], tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]  # the same net and the same inputs each time


@dataclass
class Eager:
    """What one run of a net gave.

    Attributes:
        result: the tensors and plain values that it returned.
        forward: what forward raised; "" for nothing.
        backward: what backward of the sum of all floating results raised.
        untrainable: whether backward raises from each result by itself, too: no loss can train the net.
    """

    result: list[Any]
    forward: str = ""
    backward: str = ""
    untrainable: bool = False


def run(build: Build, *, training: bool) -> Eager:
    """Run a net forward, and the sum of its floating results backward."""
    model, args, kwargs = build()
    return run_on(model.train(training), args, kwargs)


def run_on(model: nn.Module, args: Any, kwargs: Any) -> Eager:
    """The same for a net that stands; its parameters have gradients afterwards."""
    seed_all()
    try:
        result = called(model, args, kwargs)
    except Exception as error:
        return Eager([], forward=said(error))
    kept = [leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves(result)]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    results = [y for y in leaves(result) if isinstance(y, torch.Tensor) and y.requires_grad]
    sums = [(y.abs() if y.is_complex() else y).double().sum() for y in results]
    if not (sums and learning):
        return Eager(kept)
    failures = [failure for y in sums if (failure := backward_failure(y))]
    return Eager(kept, backward=backward_failure(sum(sums)), untrainable=len(failures) == len(sums))


def backward_failure(y: Any) -> str:
    """What backward from `y` raises, as in training; "" for nothing."""
    try:
        y.backward(retain_graph=True)
    except Exception as error:
        return said(error)
    return ""


def seed_all() -> None:
    """Start every generator of random numbers at one place."""
    random.seed(SEED)
    numpy.random.seed(SEED)
    torch.manual_seed(SEED)


def called(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """What a module gives; all steps of a forward that yields."""
    result = module(*args, **kwargs)
    return list(result) if isinstance(result, Iterator) else result


def said(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def leaves(value: Any) -> Iterator[Any]:
    """The tensors and plain values in a result, in order."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, torch.distributions.Distribution):
        yield value.logits  # type: ignore[attr-defined]
    else:
        yield value


def is_repeatable(build: Build, *, training: bool) -> bool:
    """Whether a net gives the same each time, bit for bit: LAPACK's sums hang on where in memory their operands lie."""
    first, *others = (run(build, training=training).result for _ in range(6))
    return all(agree(first, other) for other in others)


def agree(given: list[Any], expected: list[Any], alike: Callable[[Any, Any], bool] | None = None) -> bool:
    """Whether two lists of leaves are the same, or `alike` one by one."""
    return len(given) == len(expected) and all(map(alike or same, given, expected))


def close(a: Any, b: Any) -> bool:
    """Whether two leaves are the same but for rounding."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape == b.shape and a.dtype == b.dtype:
        return torch.allclose(a.detach(), b.detach(), rtol=1e-3, atol=1e-4, equal_nan=True)
    return same(a, b)


def same(a: Any, b: Any) -> bool:
    """Whether two leaves are one and the same value, bit for bit; a NaN is like any other."""
    if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)):
        return type(a) is type(b) and bool(a == b)
    if a.shape != b.shape or a.dtype != b.dtype or a.layout != b.layout:
        return False
    a, b = (tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach() for tensor in (a, b))
    return bool(((a == b) | ((a != a) & (b != b))).all())
