"""Example inputs: what forward is called with, as somebody gave it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

from torch import Tensor, nn

from netcheck.errors import InputError
from netcheck.load.keeping import kept
from netcheck.load.randomness import generator_kept, is_generator
from netcheck.load.untouched import untouched
from netcheck.load.wrappers import unwrapped


@dataclass(frozen=True)
class ExampleInputs:
    """What forward is called with: `model(*args, **kwargs)`.

    `description` is one line for the report: the inputs and how they were found. `batches` are (args, kwargs) of real data,
    these first; none where the inputs are but an example of what forward takes. `guessed` are the sizes that nothing but a guess
    decides, by the name of what they are of ("height", "length"); `resized` gives the same inputs with others in their place.
    `by_chance`: values that forward computes on the way decide whether it runs on them.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    batches: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = ()
    guessed: Mapping[str, int] = field(default_factory=dict)
    by_chance: bool = False
    resized: Callable[[Mapping[str, int]], ExampleInputs] | None = field(default=None, repr=False, compare=False)


def given(inputs: Any, model: nn.Module | None = None, batches: int = 1) -> ExampleInputs:
    """The API's `inputs`: a tensor or a list is one argument, a tuple is *args, a dict is **kwargs.

    Args:
        inputs: those, or what gives batches of real data when it is iterated over (a DataLoader).
        model: whose forward takes them: of a batch with more parts (labels), it takes the first ones.
        batches: how many to take of a loader.

    Raises:
        InputError: it is none of these, or a loader that gives nothing.
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
    iterable = isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes) and not hasattr(inputs, "shape")
    if model is not None and iterable:
        return loaded(inputs, model, batches)
    raise InputError(
        f"inputs cannot be a {type(inputs).__name__}",
        help="give a tensor, a tuple of forward's arguments, a dict of them by name, or a DataLoader",
    )


def loaded(loader: Iterable[Any], model: nn.Module, batches: int) -> ExampleInputs:
    """The first batches of a loader; what belongs to the process is left as it was, and what the loader draws from."""
    drawn = [partial(generator_kept, generator) for generator in generators_of(loader)]
    with untouched(), kept(drawn):
        try:
            taken = tuple(as_arguments(batch, model) for batch in islice(iter(loader), batches))
        except Exception as error:  # of the user's data set
            raise InputError(
                f"the {type(loader).__name__} raised {type(error).__name__}: {error}",
                help="make it give batches when it is iterated over",
            ) from error
    if not taken:
        raise InputError(f"the {type(loader).__name__} gives no batch", help="give a loader that is not empty")
    example = described(*taken[0], f"from the {type(loader).__name__}")
    return replace(example, batches=taken)


def generators_of(loader: Any) -> Iterator[Any]:
    """The random number generators that a loader, its samplers or its data hold."""
    parts = [getattr(loader, name, None) for name in ("sampler", "batch_sampler", "dataset")]
    for part in (loader, *parts, getattr(parts[1], "sampler", None)):
        yield from filter(is_generator, getattr(part, "__dict__", {}).values())


def as_arguments(batch: Any, model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs) of forward, without the parts of a batch that forward does not take (labels)."""
    parameters = inspect.signature(unwrapped(model).forward).parameters.values()
    names = {parameter.name for parameter in parameters}
    kinds = [parameter.kind for parameter in parameters]
    if isinstance(batch, Mapping):
        known = batch if inspect.Parameter.VAR_KEYWORD in kinds else {k: v for k, v in batch.items() if k in names}
        return (), dict(known)
    if not isinstance(batch, tuple | list):
        return (batch,), {}
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in places and p.default is p.empty]
    most = len(batch) if inspect.Parameter.VAR_POSITIONAL in kinds else max(1, len(required))
    return tuple(batch[:most]), {}


def described(args: tuple[Any, ...], kwargs: dict[str, Any], how: str) -> ExampleInputs:
    """Example inputs with the line that describes them."""
    parts = [in_words(value) for value in args] + [f"{name} {in_words(value)}" for name, value in kwargs.items()]
    return ExampleInputs(args, kwargs, f"inputs: {', '.join(parts) or 'none'}, {how}")


def in_words(value: Any, levels: int = 4) -> str:
    """A value in few words: "float32 (2, 3, 224, 224)", "[float32 (2, 8), float32 (2, 4)]", "3".

    Of containers in each other only the outer `levels` are told, and "..." for what is in them.
    """
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, (Mapping, list, tuple)) and not levels:
        return "..."
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_words(entry, levels - 1)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        brackets = "[]" if isinstance(value, list) else "()"
        return brackets[0] + ", ".join(in_words(entry, levels - 1) for entry in value) + brackets[1]
    return repr(value) if isinstance(value, (int, float, str, bool, type(None))) else type(value).__name__
