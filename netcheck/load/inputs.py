"""Example inputs for a model: given, by a convention that it follows, or inferred on fake tensors.

    parse_specs(["2x3x224x224"])     from the command line
    given(tensor | tuple | dict)     from the API
    infer_inputs(model)              conventions such as example_input_array, then inference

Everything is live CPU tensors; no random generator but a private one moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from netcheck.errors import InputError
from netcheck.load.conventions import by_convention
from netcheck.load.examples import ExampleInputs, described, given
from netcheck.load.inference.answer import inferred
from netcheck.load.specs import FORM, INTEGERS, Spec, parse_spec
from netcheck.load.untouched import silent, untouched

SECONDS = 2.8  # that inference may take
DTYPES = {
    "float": torch.float32,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "double": torch.float64,
    "long": torch.int64,
    "int": torch.int32,
    "bool": torch.bool,
}


def parse_specs(specs: Sequence[str], floating: torch.dtype = torch.float32) -> ExampleInputs:
    """Tensors for the command line's `--input`s, the unnamed in their order; grammar: `netcheck.load.specs`.

    Args:
        specs: one text for each argument.
        floating: the dtype of tensors for which none is given.

    Raises:
        InputError: one is malformed, or a name is given twice.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(0)
    for text in specs:
        spec = parse_spec(text)
        if spec.name in kwargs:
            raise InputError(f"the input {spec.name!r} is given twice", help="give each argument once")
        if spec.name:
            kwargs[spec.name] = make(spec, generator, floating)
        else:
            args.append(make(spec, generator, floating))
    return described(tuple(args), kwargs, "as given")


def make(spec: Spec, generator: torch.Generator, floating: torch.dtype) -> Any:
    """What one specification stands for."""
    if spec.dtype == "value":
        return spec.value
    dtype = DTYPES[spec.dtype] if spec.dtype else floating
    if dtype is torch.bool:
        return torch.ones(spec.shape, dtype=dtype)
    if dtype.is_floating_point:
        return torch.randn(spec.shape, generator=generator, dtype=torch.float32).to(dtype)
    return torch.randint(spec.low, spec.high, spec.shape, generator=generator, dtype=dtype)


def as_specs(example: ExampleInputs) -> list[str]:
    """Example inputs as `--input` takes them; none if one cannot be written so.

    The inverse of `parse_specs` but for what the tensors hold.
    """
    values = [("", value) for value in example.args] + list(example.kwargs.items())
    specs = [spec_of(name, value) for name, value in values]
    return [str(spec) for spec in specs if spec is not None] if None not in specs else []


def spec_of(name: str, value: Any) -> Spec | None:
    """What stands for one value; None for what no text stands for."""
    if isinstance(value, torch.Tensor):
        dtype = next((word for word, one in DTYPES.items() if one is value.dtype), None)
        if dtype is None:
            return None
        most = int(value.max()) + 1 if dtype in INTEGERS and value.numel() else 0
        return Spec(name, "" if dtype == "float" else dtype, tuple(value.shape), high=max(2, most))
    return Spec(name, "value", value=value) if isinstance(value, int | float | str | None) else None


def infer_inputs(
    model: nn.Module, *, conventions: bool = True, seconds: float = SECONDS, beside: Sequence[ModuleType] = ()
) -> ExampleInputs:
    """Inputs with which `model` runs, in its present mode, found without touching it or any random generator.

    Args:
        model: on any device, the meta device included.
        conventions: whether to ask the model for its own examples before inferring.
        seconds: that inference may take.
        beside: modules whose `netcheck_inputs()` counts before that of the class's own.

    Raises:
        InputError: nothing worked; the sentence says what was tried and where it ended.
    """
    with untouched(), silent(), torch.jit.optimized_execution(False):  # which would keep fake tensors as constants
        found = by_convention(model, beside) if conventions else None
        return found or inferred(model, seconds=seconds)


__all__ = ["FORM", "ExampleInputs", "as_specs", "given", "infer_inputs", "parse_specs"]
