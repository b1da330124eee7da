"""What the source shows, as live objects.

Named("", "torch.nn.ReLU")                  nn.ReLU
Made(Named("models.py", "Encoder"), (64,))  Encoder(64)
Record({"width": 8})                        a Configuration, which is a dict with attributes
"""

from __future__ import annotations

import functools
import importlib
import inspect
from contextlib import suppress
from types import ModuleType
from typing import Any

from netcheck.load.construction.configuration import Ask, Configuration, Missing, Trail, nobody
from netcheck.load.modules import import_file
from netcheck.source.construction.values import Made, Module, Named, Record, Unknown


class Impossible(Exception):
    """A value that the source does not show in full, or that cannot be made."""


def live(value: Any, namespace: ModuleType | None = None, path: str = "", ask: Ask = nobody) -> Any:
    """The object that a value stands for.

    Args:
        value: as `netcheck.source.construction` gives it.
        namespace: the module of the class that is built, whose names need not be imported again.
        path: what the value is called, for options that are asked for: "args".
        ask: answers for options that a record lacks.

    Raises:
        Impossible: it has unknown parts.
    """
    make = functools.partial(live, namespace=namespace, path=path, ask=ask)
    match value:
        case Unknown() if value.trail and "." in path:
            return asked(path, ask, value.trail)
        case Unknown() | Module():
            raise Impossible
        case Named():
            return named(value, namespace)
        case Made(callee=Named(name="torch.device")):
            return make(value.callee)("cpu")  # where models are built
        case Made():
            return called(value, namespace, path, ask)
        case Record():
            return configured(value, namespace, path, ask)
        case list() | tuple() | set():
            return type(value)(map(make, value))
        case dict():
            return {key: make(one) for key, one in value.items()}
        case str() if value == "cuda" or value.startswith("cuda:"):
            return "cpu"
    return value


def called(value: Made, namespace: ModuleType | None, path: str, ask: Ask) -> Any:
    """What a call gives, with the attributes set that follow; unknown arguments are asked for by the names of its parameters."""
    callee = live(value.callee, namespace)
    names = positional_names(callee)
    args = [
        live(one, namespace, f"{path}.{names[number] if number < len(names) else number}", ask)
        for number, one in enumerate(value.args)
    ]
    made = callee(*args, **{name: live(one, namespace, f"{path}.{name}", ask) for name, one in value.kwargs.items()})
    for name, one in value.then.items():
        with suppress(Impossible):  # perhaps nobody reads it
            setattr(made, name, live(one, namespace))
    return made


def positional_names(callee: Any) -> list[str]:
    """The names of the parameters that may be given by place."""
    try:
        parameters = inspect.signature(callee).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


def asked(path: str, ask: Ask, trail: Trail) -> Any:
    """The answer for an unknown part: the same for all that the source reads of the same place.

    Raises:
        Impossible: there is none.
    """
    try:
        return ask(path, trail)
    except Missing as error:
        raise Impossible from error


def configured(record: Record, namespace: ModuleType | None, path: str, ask: Ask) -> Configuration:
    """A record as an object; what is unknown in it is asked for when it is read."""
    fields = {}
    for name, one in record.fields.items():
        if isinstance(one, Unknown):
            continue
        try:
            fields[name] = live(one, namespace, f"{path}.{name}", ask)
        except Exception:  # unknown, or it cannot be made: perhaps nobody reads it
            continue
    return Configuration(path, fields, ask)


def named(value: Named, namespace: ModuleType | None) -> Any:
    """A class, function or other object by its name.

    Raises:
        Impossible: it is not there.
    """
    try:
        if value.file:
            parts = value.name.split(".")
            same = namespace is not None and getattr(namespace, "__file__", None) == value.file
            known = same and hasattr(namespace, parts[0])  # of a notebook only what one model needs was run
            found: Any = namespace if known else import_file(value.file, [value.name])
        else:
            found, parts = imported(value.name.split("."))
        for part in parts:
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Impossible from error
    return found


def imported(parts: list[str]) -> tuple[Any, list[str]]:
    """The longest beginning of a dotted name that is a module, and what is left of it."""
    for length in range(len(parts) - 1, 0, -1):
        try:
            return importlib.import_module(".".join(parts[:length])), parts[length:]
        except ImportError:
            continue
    raise ImportError(".".join(parts))
