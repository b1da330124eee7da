"""Inputs that a model offers by itself.

In this order: `netcheck_inputs()` in the module of its class; Lightning's `example_input_array`;
`dummy_inputs`; a `default_cfg` or `pretrained_cfg` with an `input_size`; a `config` with an `image_size`,
or one of its own.
What the author wrote for this very model is taken as it is; what a base class offers to all its subclasses
counts only if the model runs with it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.errors import InputError
from netcheck.load.deadline import OutOfTime
from netcheck.load.examples import ExampleInputs, described, given
from netcheck.load.inference.answer import drawn, example, maker
from netcheck.load.inference.probe import Outcome
from netcheck.load.inference.proposals import BATCH, HEIGHT, WIDTH, Argument, Proposal, Slot
from netcheck.load.inference.search import Search
from netcheck.load.inference.signature import parameters_of

SECONDS = 2.0  # to find out whether a model runs with what it offers
SIDES = ("image_size", "img_size", "imsize", "im_size", "image_resolution", "img_resolution")  # attributes of models


def by_convention(model: nn.Module, beside: Sequence[ModuleType] = ()) -> ExampleInputs | None:
    """What the model offers, None if it offers nothing that fits.

    Raises:
        InputError: `netcheck_inputs()` raised, or returned something else than inputs.
    """
    return from_function(model, beside) or from_example_input_array(model) or from_dummy_inputs(model) or from_image_size(model)


def from_function(model: nn.Module, beside: Sequence[ModuleType] = ()) -> ExampleInputs | None:
    """`netcheck_inputs()`, beside what was named (a factory, perhaps), else beside the model's class."""
    for module in (*beside, sys.modules.get(type(model).__module__)):
        function = getattr(module, "netcheck_inputs", None)
        if callable(function):
            return called(function, getattr(module, "__name__", "the file"))
    return None


def called(function: Callable[[], Any], where: str) -> ExampleInputs:
    """What `netcheck_inputs()` returns.

    Raises:
        InputError: it raised, or returned something else than inputs.
    """
    try:
        inputs = function()
    except Exception as error:
        raise InputError(f"netcheck_inputs() in {where} raised {type(error).__name__}: {error}") from error
    found = given(inputs)
    return described(found.args, found.kwargs, f"from netcheck_inputs() in {where}")


def from_example_input_array(model: nn.Module) -> ExampleInputs | None:
    """Lightning's: a tensor is one argument, a tuple is *args, a dict is **kwargs."""
    inputs = getattr(model, "example_input_array", None)
    if not isinstance(inputs, (Tensor, tuple, list, Mapping)):
        return None
    found = given(inputs)
    return described(found.args, found.kwargs, "from the model's example_input_array")


def from_dummy_inputs(model: nn.Module) -> ExampleInputs | None:
    """A dict of tensors, if forward knows every name in it and runs."""
    try:
        inputs = getattr(model, "dummy_inputs", None)
    except Exception:  # a property that may raise anything
        return None
    if not isinstance(inputs, Mapping) or not inputs or not all(isinstance(value, Tensor) for value in inputs.values()):
        return None
    if not set(inputs) <= {parameter.name for parameter in parameters_of(model)}:
        return None
    arguments: list[Argument] = []
    sizes: dict[str, int] = {}
    for name, value in inputs.items():
        symbols = [f"{name}.axis{axis}" for axis in range(value.dim())]
        sizes.update(zip(symbols, value.shape, strict=True))
        arguments.append(Argument(name, keyword=True, value=Slot(name, tuple(symbols), value.dtype, settled=True)))
    if not runs(model, Proposal(tuple(arguments), sizes)):
        return None
    return described((), dict(inputs), "from the model's dummy_inputs")


def from_image_size(model: nn.Module) -> ExampleInputs | None:
    """Images of the size that the model's configuration names."""
    first = next(iter(parameters_of(model)), None)
    if first is None or first.kind is inspect.Parameter.VAR_KEYWORD:
        return None
    for channels, height, width, where in image_sizes(model):
        slot = Slot(first.name, (BATCH, f"{first.name}.features", HEIGHT, WIDTH), floating(model), settled=True)
        sizes = {slot.features: channels, HEIGHT: height, WIDTH: width}
        proposal = Proposal((Argument(first.name, keyword=False, value=slot),), sizes)
        search = Search(model, seconds=SECONDS)
        outcome = attempt(search, proposal)
        if outcome is not None and outcome.ok:
            make = maker(outcome)
            return example(outcome, f"from the model's {where}", make, drawn(outcome, make))
    return None


def image_sizes(model: nn.Module) -> Iterator[tuple[int, int, int, str]]:
    """(channels, height, width, where it says so)."""
    for name in ("default_cfg", "pretrained_cfg"):
        settings = getattr(model, name, None)
        size = settings.get("input_size") if isinstance(settings, Mapping) else getattr(settings, "input_size", None)
        if isinstance(size, (tuple, list)) and len(size) == 3 and all(isinstance(n, int) and n > 0 for n in size):
            yield size[0], size[1], size[2], name
    size = getattr(getattr(model, "config", None), "image_size", None)
    pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(pair) == 2 and all(isinstance(n, int) and n > 0 for n in pair):
        channels = getattr(model.config, "num_channels", 3)
        yield channels if isinstance(channels, int) else 3, pair[0], pair[1], "config.image_size"
    channels = next((module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)), 0)
    sides = ((name, getattr(model, name, None)) for name in SIDES if channels)
    yield from ((channels, side, side, name) for name, side in sides if type(side) is int and side > 1)


def floating(model: nn.Module) -> torch.dtype:
    """The dtype of the model's weights."""
    return next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), torch.get_default_dtype())


def runs(model: nn.Module, proposal: Proposal) -> bool:
    """Whether forward returns on fake tensors of these shapes."""
    outcome = attempt(Search(model, seconds=SECONDS), proposal)
    return outcome is not None and outcome.ok


def attempt(search: Search, proposal: Proposal) -> Outcome | None:
    """One run; None if it took too long."""
    try:
        return search.run(proposal)
    except OutOfTime:
        return None
