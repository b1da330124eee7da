"""What a class or factory needs, what the user gave, and the configuration class that a parameter means.

A configuration class is meant where there is one that can be built as it is:

    def __init__(self, config: ModelConfig)      annotated with a class whose fields all have defaults
    def __init__(self, config)                   GPT, where the same file defines such a GPTConfig
    def __init__(self, config)                   with a `config_class` on the class, as transformers has it
"""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netcheck.errors import LoadError, NeedsArguments
from netcheck.findings import Construction, GivenArgument, Location
from netcheck.load.raised import describe

CONFIG_ENDINGS = ("Config", "Configuration", "Args", "Arguments", "Options", "HParams", "Settings", "Params")
EXAMPLES = {bool: "True", int: "64", float: "0.1", str: "'...'", list: "[64]", tuple: "[64]", dict: "{}"}  # shown, never used
GUESSED, EXAMPLE, OPEN = "guessed", "an example of what the annotation says", "to be filled in"
NOTHING = Construction("")


def fitting(
    callee: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any], place: Location
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that the user gave for a class or factory, if they fit.

    Args:
        callee: the class or function.
        name: how the user names it, for messages.
        args: positional arguments that the user gave.
        kwargs: keyword arguments that the user gave.
        place: where it is defined.

    Raises:
        LoadError: what the user gave does not fit.
    """
    try:
        signature = inspect.signature(callee)
    except (TypeError, ValueError):
        return tuple(args), dict(kwargs)
    try:
        signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        help = f"its parameters are {signature}: correct the arguments"
        raise LoadError(f"{name} does not take the arguments given: {error}", help=help, location=place) from error
    return tuple(args), dict(kwargs)


def lacking(callee: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[inspect.Parameter]:
    """The parameters that have neither a default nor an argument that the user gave."""
    missing = required(callee)
    if not missing:
        return []
    bound = inspect.signature(callee).bind_partial(*args, **kwargs).arguments
    return [parameter for parameter in missing if parameter.name not in bound]


def required(callee: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters without which `callee` cannot be called; none of a builtin without a signature: calling it will tell."""
    try:
        parameters = inspect.signature(callee).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each for each in parameters if each.default is each.empty and each.kind not in variadic]


def named(parameters: Sequence[inspect.Parameter]) -> str:
    """Their names as a sentence has them: "width, depth and classes"."""
    return listed([parameter.name for parameter in parameters])


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def config_class(callee: Callable[..., Any], parameter: inspect.Parameter) -> type | None:
    """The class to build a parameter's value from, or None if there is not exactly one that is meant."""
    annotation = annotation_of(callee, parameter)
    if annotation is not parameter.empty:
        fits = isinstance(annotation, type) and is_config(annotation) and builds_as_it_is(annotation)
        return annotation if fits else None
    declared = getattr(callee, "config_class", None)
    if isinstance(declared, type) and parameter.name == "config":
        return declared if builds_as_it_is(declared) else None
    beside = vars(sys.modules.get(callee.__module__, typing)).values()
    ending = parameter.name.replace("_", "").lower()
    fitting = [
        value
        for value in beside
        if isinstance(value, type)
        and value.__module__ == callee.__module__
        and dataclasses.is_dataclass(value)
        and value.__name__.lower().endswith(ending)
        and builds_as_it_is(value)
    ]
    own = [value for value in fitting if value.__name__.lower() == f"{callee.__name__}{ending}".lower()]
    chosen = own or fitting
    return chosen[0] if len(chosen) == 1 else None


def annotation_of(callee: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """A parameter's annotation as an object, where it can be evaluated."""
    function = callee.__init__ if isinstance(callee, type) else callee  # type: ignore[misc]
    try:
        return typing.get_type_hints(function).get(parameter.name, parameter.annotation)
    except Exception:  # names that only a type checker knows
        return parameter.annotation


def is_config(kind: type) -> bool:
    """Whether a class holds configuration: a dataclass, or one named as such."""
    return dataclasses.is_dataclass(kind) or kind.__name__.endswith(CONFIG_ENDINGS)


def builds_as_it_is(kind: type) -> bool:
    """Whether a class can be called without arguments."""
    try:
        inspect.signature(kind).bind()
    except (TypeError, ValueError):
        return False
    return True


def needs_arguments(
    callee: Callable[..., Any],
    name: str,
    missing: Sequence[inspect.Parameter],
    place: Location,
    tried: Construction = NOTHING,
    failure: BaseException | None = None,
) -> NeedsArguments:
    """The error that names what is missing, says what the best try raised, and shows the call with what was found.

    Args:
        callee: the class or factory.
        name: how the user names it.
        missing: the parameters that have no value.
        place: where it is defined.
        tried: what it was built from in that try.
        failure: what it raised.
    """
    symbol = name.rpartition(":")[2]
    found = {one.name: one for one in tried.arguments}
    how = f"built as {tried.place} does" if tried.place and not tried.assumptions else "with the best guess"
    raised = "" if failure is None else f": {how} it raised {describe(failure)}"
    error = NeedsArguments(f"{symbol} cannot be built without {named(missing)}{raised}", help="", location=place)
    parts = {name: [key for key in found if key.startswith(f"{name}.")] for name in (one.name for one in missing)}
    known = {p.name: found.get(p.name) or example_for(callee, p) for p in missing if not parts[p.name]}
    values = {name: one for name, one in known.items() if one is not None and is_literal(one)}
    call = ", ".join(f"{p.name}={values[p.name].value if p.name in values else '...'}" for p in missing)
    error.help = (
        f"give them by a function in the file{origins(missing, values)}:\n\n"
        "    def netcheck_model() -> nn.Module:\n"
        + "".join(
            f"        # {name} has {listed([key[len(name) + 1 :] for key in keys])}\n" for name, keys in parts.items() if keys
        )
        + f"        return {symbol}({call})\n"
    )
    if len(values) == len(missing):
        plain = {name: ast.literal_eval(one.value) for name, one in values.items()}
        error.args_wanted = [plain[p.name] for p in missing if p.kind is p.POSITIONAL_ONLY]
        error.kwargs_wanted = {p.name: plain[p.name] for p in missing if p.kind is not p.POSITIONAL_ONLY}
    return error


def is_literal(argument: GivenArgument) -> bool:
    """Whether an argument is plain data, as it is written."""
    try:
        ast.literal_eval(argument.value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


def origins(missing: Sequence[inspect.Parameter], values: Mapping[str, GivenArgument]) -> str:
    """Where the values of a call come from, as the rest of a sentence."""
    by_origin: dict[str, list[str]] = {}
    for one in missing:
        origin = (values[one.name].origin or GUESSED) if one.name in values else OPEN
        by_origin.setdefault(origin, []).append(one.name)
    said = [f"{listed(names)} {'is' if len(names) == 1 else 'are'} {how(origin)}" for origin, names in by_origin.items()]
    return f"; {', '.join(said)}"


def how(origin: str) -> str:
    """Where a value comes from: "as in train.py:40"."""
    return origin if origin in (GUESSED, EXAMPLE, OPEN) else f"as in {origin}"


def example_for(callee: Callable[..., Any], parameter: inspect.Parameter) -> GivenArgument | None:
    """A value of the kind that a parameter's annotation wants; None where there is none, or it wants no plain data."""
    annotation = annotation_of(callee, parameter)
    kind = typing.get_origin(annotation) or annotation
    if kind is parameter.empty or not isinstance(kind, type):
        return None
    text = next((EXAMPLES[base] for base in EXAMPLES if issubclass(kind, base)), None)
    if text is None and issubclass(kind, collections.abc.Sequence):
        text = EXAMPLES[list]
    return None if text is None else GivenArgument(parameter.name, text, EXAMPLE)
