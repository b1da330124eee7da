"""From the name of a model to the live model.

Target("model.py", "Net") --import--> class Net --arguments--> Net() --weights--> Loaded
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import nn

from netcheck.errors import LoadError
from netcheck.findings import Construction, Location
from netcheck.load import fence, removed
from netcheck.load.absent import Absent, Base, lack
from netcheck.load.arguments import fitting, lacking, listed, needs_arguments, required
from netcheck.load.fence.command_line import own_command_line
from netcheck.load.guard import NotAModel, load_error, reason_of, user_code, without_what
from netcheck.load.modules import define_from_main, import_file, import_module
from netcheck.load.omit import past_refusals
from netcheck.load.raised import describe
from netcheck.load.randomness import preserved_random_state
from netcheck.load.untouched import silent
from netcheck.load.unwritten import unwritten_is_nan
from netcheck.load.weights import load_weights
from netcheck.source.locate import Definition, locate_definition
from netcheck.source.spots import spot
from netcheck.source.targets import Target, expand


@dataclass(frozen=True)
class Loaded:
    """A live model and where it came from.

    Attributes:
        name: its class, or what the user calls it.
        model: the model, as its code left it: nothing is set to train or eval.
        factory: builds another one with a fresh initialization; None for a variable, whose code ran once.
        location: the line that defines the class or factory, or built the variable.
        defined: the same, as `source.places.built_at` wants it.
        namespace: the module that it came from, with whatever else the file defines.
        target: what was asked for.
        construction: what it was built from, where its class needs arguments that nobody gave.
    """

    name: str
    model: nn.Module
    factory: Callable[[], nn.Module] | None
    location: Location
    defined: Definition
    namespace: ModuleType = field(repr=False)
    target: Target
    construction: Construction | None = None


def load(
    target: Target | str,
    *,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    weights: str | None = None,
    as_project: bool = False,
) -> Loaded:
    """Import a target, build its model, load its weights.

    Args:
        target: what to load; a text must name exactly one model.
        args: positional arguments for the class or factory.
        kwargs: keyword arguments for it.
        weights: the path of a checkpoint for the model.
        as_project: whether a class that needs no arguments gets those of a call of its project.

    Raises:
        LoadError: the file, class or factory raised, or there is no such thing.
        NeedsArguments: the class cannot be built without arguments that were not given.
        NotAModel: the target names something else.
    """
    if isinstance(target, str):
        target = only_target(target)
    file = os.path.abspath(target.file) if target.file else ""  # now: the file may leave the folder, or remove it
    namespace = import_file(target.file, [target.symbol]) if target.file else import_module(target.module, [target.symbol])
    if file:
        define_from_main(file, namespace)
    with user_code(f"reading {target.name}", target.file, target.line or 1):  # a metaclass may answer anything
        value = find_symbol(namespace, target)
        require_present(value)
        defined = definition_of(value, target)
        place = locate_definition(defined) or Location(target.file or target.module, target.line or 1)
        is_model = isinstance(value, nn.Module)
        name = value.__name__ if isinstance(value, type) else target.symbol
        factory = None if is_model else factory_of(value, target, args, kwargs or {}, place)
    construction = None
    if factory is not None and (missing := lacking(value, args, kwargs or {})):
        if args or kwargs:
            raise needs_arguments(value, target.name, missing, place)  # who gives some means to give all
        factory, construction = found_arguments(value, defined, namespace, target, place)
    if as_project and not construction:
        if factory is not None:
            factory, construction = found_arguments(value, defined, namespace, target, place)
        if construction is None or not any(one.origin for one in construction.arguments):
            raise LoadError(f"no call gives {target.symbol} arguments", help="give it some", location=place)
    model = value
    if factory is not None and construction:
        model = factory()
    elif factory is not None:
        model, factory, construction = built_or_found(factory, value, defined, namespace, target, place)
    if weights is not None:
        load_weights(model, weights)
    return Loaded(name, model, factory, place, defined, namespace, target, construction)


def built_or_found(
    factory: Callable[[], nn.Module],
    callee: Callable[..., Any],
    defined: Definition,
    namespace: ModuleType,
    target: Target,
    place: Location,
) -> tuple[nn.Module, Callable[[], nn.Module], Construction | None]:
    """The model of a class that needs no arguments; where its defaults raise, as its project builds it.

    Raises:
        LoadError: it raises, and is nowhere built with others.
        NeedsArguments: it reads of its `**options` what is not there.
    """
    try:
        return factory(), factory, None
    except LoadError as error:
        key = keyword_of(callee, error.__cause__)
        if key is not None or (takes_any(callee) and is_call_without_all(error.__cause__)):
            return found_for_any(callee, defined, namespace, target, place, key)
        own = isinstance(callee, type) and isinstance(error.__cause__, TypeError | AttributeError) and is_none_s(error.__cause__)
        if not own or not any(one.default is None for one in inspect.signature(callee).parameters.values()):
            raise
        try:
            found, construction = found_arguments(callee, defined, namespace, target, place)
            return found(), found, construction
        except LoadError:
            raise error from None


def found_for_any(
    callee: Callable[..., Any],
    defined: Definition,
    namespace: ModuleType,
    target: Target,
    place: Location,
    key: inspect.Parameter | None,
) -> tuple[nn.Module, Callable[[], nn.Module], Construction]:
    """The model of something with `**options` that needs some: `def net(**options): return Net(**options)`; `key` is one of them.

    Raises:
        LoadError: none were found.
    """
    try:
        found, construction = found_arguments(callee, defined, namespace, target, place)
        return found(), found, construction
    except LoadError as error:
        if key is None:
            raise
        raise needs_arguments(callee, target.name, [key], place) from error


def keyword_of(callee: Callable[..., Any], error: BaseException | None) -> inspect.Parameter | None:
    """The keyword argument that something with `**options` reads of them and was not given, if its error says so."""
    key = error.args[0] if takes_any(callee) and isinstance(error, KeyError) and error.args else None
    if not isinstance(key, str) or not key.isidentifier():
        return None
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY)


def takes_any(callee: Callable[..., Any]) -> bool:
    """Whether something has `**options`."""
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in inspect.signature(callee).parameters.values())


def is_call_without_all(error: BaseException | None) -> bool:
    """Whether an error says that a call lacks arguments."""
    from netcheck.load.construction.repairs import MISSING

    return isinstance(error, TypeError) and MISSING.search(str(error)) is not None


def is_none_s(error: BaseException) -> bool:
    """Whether an error says that something is None which should not be."""
    return "NoneType" in str(error)


def only_target(text: str) -> Target:
    """The one target that a text names."""
    found = expand([text])
    if len(found.targets) == 1:
        return found.targets[0]
    if not found.targets:
        reason = f"{found.skipped[0].file} {found.skipped[0].reason}" if found.skipped else f"{text} defines no model"
        raise LoadError(reason, help="name a file that defines a model, or file.py:Symbol")
    names = ", ".join(target.name for target in found.targets[:8])
    raise LoadError(f"{text} defines {len(found.targets)} models", help=f"name one of them: {names}")


def find_symbol(namespace: ModuleType, target: Target) -> Any:
    """What a dotted symbol stands for in a module."""
    value: Any = namespace
    for part in target.symbol.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            raise missing(namespace, target) from error
    return value


def require_present(value: Any) -> None:
    """Refuse what is, or derives from, something of a package that cannot be imported.

    Raises:
        NotInstalled: it is.
    """
    if isinstance(value, Absent):
        value._needed()
    if isinstance(value, type) and issubclass(value, Base) and not issubclass(value, nn.Module):
        value.absent._needed()


def missing(namespace: ModuleType, target: Target) -> LoadError:
    """The error for a symbol that a module does not have."""
    names = [name for name, value in vars(namespace).items() if is_modelish(value, namespace)]
    help = f"it has {', '.join(sorted(names)[:8])}" if names else "correct the name after the colon"
    place = Location(target.file or target.module, target.line or 1)
    left = next((one for one in fence.notes() if target.line and one.line == target.line), None)
    why = f": {spot(target.file, target.line)}, which would make it, was left out ({reason_of(left)})" if left else ""
    told = LoadError(f"{target.file or target.module} has no {target.symbol}{why}", help=help, location=place)
    if left is None:
        return told
    told.help = "make that line run where netcheck runs" + (
        f", or check what the file has: {listed(sorted(names)[:8])}" if names else ""
    )
    return without_what(told, left)


def is_modelish(value: Any, namespace: ModuleType) -> bool:
    """Whether a value of a module is worth naming: a model, or a model class of this module."""
    if isinstance(value, type):
        return issubclass(value, nn.Module) and value.__module__ == namespace.__name__
    return isinstance(value, nn.Module)


def definition_of(value: Any, target: Target) -> Definition:
    """Where a class, factory or variable is defined."""
    subject = inspect.unwrap(value) if callable(value) and not isinstance(value, nn.Module) else None
    if isinstance(subject, type) or inspect.isfunction(subject):
        try:
            file = inspect.getsourcefile(subject)
        except (TypeError, OSError):
            file = None
        code = getattr(subject, "__code__", None)
        return Definition(file or target.file, subject.__qualname__, code.co_firstlineno if code else 0)
    return Definition(target.file, target.symbol)


def factory_of(
    value: Any, target: Target, args: Sequence[Any], kwargs: Mapping[str, Any], place: Location
) -> Callable[[], nn.Module]:
    """A function without parameters that builds a fresh model, whatever the target is."""
    if isinstance(value, type) and not issubclass(value, nn.Module):
        raise NotAModel(
            f"{target.name} is not an nn.Module",
            help="name a model class, a model or a factory",
            location=place,
        )
    if not callable(value):
        kind = type(value).__name__
        raise NotAModel(f"{target.name} is a {kind}, not a model", help="name a model or a factory", location=place)
    positional, named = fitting(value, target.name, args, kwargs, place)
    return functools.partial(build, functools.partial(value, *positional, **named), target, place)


def found_arguments(
    callee: Callable[..., Any],
    defined: Definition,
    namespace: ModuleType,
    target: Target,
    place: Location,
) -> tuple[Callable[[], nn.Module], Construction]:
    """What builds a class that needs arguments nobody gave: as its project does, or with guesses that work.

    Raises:
        NeedsArguments: none were found.
    """
    from netcheck.load.construction.answer import constructed
    from netcheck.load.inference.faults import is_fault

    def prepare(make: Callable[[], Any]) -> Any:
        around = own_command_line(target.file or target.module)
        with preserved_random_state(), fence.building(), unwritten_is_nan(), around, silent():
            return past_refusals(make)

    answer = constructed(callee, defined, namespace, prepare)
    if answer.build is not None:
        return functools.partial(build, answer.build, target, place), answer.construction
    missing = required(callee)
    if answer.failure is not None and (
        not missing or lack(answer.failure) is not None or removed.cause(answer.failure) or is_fault(answer.failure)
    ):
        raise load_error(f"building {target.symbol}", answer.failure, place.file, place.line)
    raise needs_arguments(callee, target.name, missing, place, answer.construction, answer.failure)


def build(callee: Callable[[], Any], target: Target, place: Location) -> nn.Module:
    """Call what builds a model.

    Raises:
        LoadError: it raised.
        NotAModel: it returned something else.
    """
    around = own_command_line(target.file or target.module)
    with user_code(f"building {target.symbol}", place.file, place.line), fence.building(), unwritten_is_nan(), around:
        model = past_refusals(callee)
    if isinstance(model, nn.Module):
        if "_modules" not in vars(model) and not isinstance(model, torch.jit.ScriptModule):  # which keeps them in C++
            help = "call super().__init__() first in __init__"
            raise LoadError(f"{target.symbol} does not initialize nn.Module", help=help, location=place)
        return model
    raise NotAModel(
        f"{target.symbol} returned a {describe_type(model)}, not an nn.Module",
        help="return the model itself",
        location=place,
    )


def describe_type(value: object) -> str:
    """The name of a value's type, whatever its metaclass does."""
    try:
        return type(value).__name__
    except BaseException as error:
        return describe(error)
