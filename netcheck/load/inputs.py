"""Example inputs for a model: given, by a convention that it follows, or inferred on fake tensors.

    parse_specs(["2x3x224x224"])     from the command line
    given(tensor | tuple | dict)     from the API
    infer_inputs(model)              conventions such as example_input_array, then inference

Everything is live CPU tensors; no random generator but a private one moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.errors import InputError
from netcheck.load.specs import FORM, Spec, parse_spec

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


@dataclass(frozen=True)
class ExampleInputs:
    """What forward is called with: `model(*args, **kwargs)`.

    `description` is one line for the report: the inputs and how they were found.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    description: str = ""


def parse_specs(specs: Sequence[str]) -> ExampleInputs:
    """Tensors for the command line's `--input`s, the unnamed in their order; grammar: `netcheck.load.specs`.

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
            kwargs[spec.name] = make(spec, generator)
        else:
            args.append(make(spec, generator))
    return described(tuple(args), kwargs, "as given")


def make(spec: Spec, generator: torch.Generator) -> Any:
    """What one specification stands for."""
    if spec.dtype == "value":
        return spec.value
    dtype = DTYPES[spec.dtype]
    if dtype is torch.bool:
        return torch.ones(spec.shape, dtype=dtype)
    if dtype.is_floating_point:
        return torch.randn(spec.shape, generator=generator, dtype=torch.float32).to(dtype)
    return torch.randint(spec.low, spec.high, spec.shape, generator=generator, dtype=dtype)


def given(inputs: Any) -> ExampleInputs:
    """The API's `inputs`: a tensor or a list is one argument, a tuple is *args, a dict is **kwargs.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(inputs, (Tensor, list)):
        return described((inputs,), {}, "as given")
    if isinstance(inputs, tuple):
        return described(inputs, {}, "as given")
    if isinstance(inputs, Mapping):
        if not all(isinstance(name, str) for name in inputs):
            raise InputError(
                "the keys of a dict of inputs must be names of forward's arguments",
                help="write {'x': tensor}",
            )
        return described((), dict(inputs), "as given")
    raise InputError(
        f"inputs cannot be a {type(inputs).__name__}",
        help="give a tensor, a tuple of forward's arguments, or a dict of them by name",
    )


def infer_inputs(model: nn.Module, *, conventions: bool = True, seconds: float = SECONDS) -> ExampleInputs:
    """Inputs with which `model` runs, in its present mode, found without touching it or any random generator.

    Args:
        model: on any device, the meta device included.
        conventions: whether to ask the model for its own examples before inferring.
        seconds: that inference may take.

    Raises:
        InputError: nothing worked; the sentence says what was tried and where it ended.
    """
    from netcheck.load.conventions import by_convention
    from netcheck.load.inference.answer import inferred
    from netcheck.load.untouched import preserved_globals

    with preserved_globals():
        found = by_convention(model) if conventions else None
        return found or inferred(model, seconds=seconds)


def described(args: tuple[Any, ...], kwargs: dict[str, Any], how: str) -> ExampleInputs:
    """Example inputs with the line that describes them."""
    parts = [in_words(value) for value in args] + [
        f"{name} {in_words(value)}" for name, value in kwargs.items()
    ]
    return ExampleInputs(args, kwargs, f"inputs: {', '.join(parts) or 'none'}, {how}")


def in_words(value: Any) -> str:
    """A value in few words: "float32 (2, 3, 224, 224)", "[float32 (2, 8), ...]", "3"."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_words(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        brackets = "[]" if isinstance(value, list) else "()"
        return brackets[0] + ", ".join(in_words(entry) for entry in value) + brackets[1]
    return repr(value) if isinstance(value, (int, float, str, bool, type(None))) else type(value).__name__


__all__ = ["FORM", "ExampleInputs", "given", "infer_inputs", "parse_specs"]
