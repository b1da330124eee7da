"""The line that built each submodule of a live model, by walking it. Needs a live model, but imports no torch
itself.

for every child:   1. an ancestor that put it in place later      self.backbone.fc = nn.Linear(...)
                   2. the class of its parent                     self.conv1 = nn.Conv2d(...)
                   3. whoever built the parent and passed it in   Residual(nn.Linear(...))
                   4. otherwise the place of the parent
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from netcheck.findings import Location
from netcheck.source.locate import Definition, Step, locate_definition, locate_override, locate_steps, siblings_of
from netcheck.source.weak import cached_by_class

_FARTHEST = 30  # modules above one whose source may tell what built it


class Module(Protocol):
    """What is needed of an nn.Module."""

    @property
    def _modules(self) -> Mapping[str, Module | None]: ...


Ancestor = tuple[tuple[Definition, ...], tuple[Step, ...]]  # its definitions, and the way down from it


def built_at(model: Module, defined: Definition | None = None) -> dict[str, Location]:
    """Where each submodule of a model was built, by module path; "" is the model itself.

    Modules of torch's own making (the parts of an nn.Transformer) have the place of the line that built the
    whole. A module that the model holds under several names is found under the first.

    Args:
        model: the live model.
        defined: the variable or factory that it came from, if known.
    """
    found: dict[str, Location] = {}
    top = (defined,) if defined else ()
    place = next(filter(None, map(locate_definition, (*top, *class_definitions(type(model))))), None)
    if place is not None:
        found[""] = place
    seen = {id(model)}
    pending: list[tuple[str, Module, tuple[Ancestor, ...]]] = [("", model, ((top, ()),) if top else ())]
    while pending:
        path, parent, above = pending.pop()
        ancestors = (*above, (class_definitions(type(parent)), ()))[-_FARTHEST:]
        children = ((name, type(child).__name__) for name, child in parent._modules.items() if child is not None)
        siblings = siblings_of(tuple(children))
        for name, child in parent._modules.items():
            if child is None or id(child) in seen:
                continue
            seen.add(id(child))
            step = Step(name, type(child).__name__.removeprefix("Parametrized"), siblings)
            lineage = tuple((sources, (*steps, step)) for sources, steps in ancestors)
            child_path = f"{path}.{name}" if path else name
            place = child_place(lineage) or found.get(path)
            if place is not None:
                found[child_path] = place
            pending.append((child_path, child, lineage))
    return found


def child_place(lineage: tuple[Ancestor, ...]) -> Location | None:
    """The place of a child, given its ancestors from the root down to its parent."""
    with suppress(RecursionError):  # expressions may nest as deep as Python parses them
        for sources, steps in lineage[:-1]:
            place = locate_override(sources, steps)
            if place is not None:
                return place
        for sources, steps in reversed(lineage):
            place = locate_steps(sources, steps) if sources else None
            if place is not None:
                return place
    return None


@cached_by_class
def class_definitions(kind: type) -> tuple[Definition, ...]:
    """The definitions of a class and its bases in the order of its MRO, without torch's own."""
    found = []
    for one in kind.__mro__:
        if one is object or one.__module__.partition(".")[0] == "torch":
            continue
        file = class_file(one)
        if file:
            found.append(Definition(file, one.__qualname__, getattr(one, "__firstlineno__", 0)))
    return tuple(found)


def class_file(kind: type) -> str | None:
    """The file of a class, None if it is built in, or was defined where there is no file."""
    try:
        return inspect.getsourcefile(kind)
    except (TypeError, OSError):  # also where its module is no longer in sys.modules: its methods still know
        functions = (inspect.unwrap(value) for value in vars(kind).values() if inspect.isfunction(value))
        codes = (function.__code__ for function in functions if inspect.isfunction(function))
        own = (code.co_filename for code in codes if code.co_qualname.startswith(f"{kind.__qualname__}."))
        return next((file for file in own if not file.startswith("<")), None)
