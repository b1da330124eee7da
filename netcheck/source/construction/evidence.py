"""What a class that needs arguments is built from, as text: where it is the same, so is what is built. Imports no torch.

evidence("models.py", "GCN")    its calls, the project's options and configuration files, the files of the classes that calls name
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any

from netcheck.source.builders import family, file_index
from netcheck.source.construction.evaluate import options_of
from netcheck.source.construction.others import models_elsewhere, ways_of_namesakes
from netcheck.source.construction.project import project_of
from netcheck.source.construction.values import Made, Named, Record
from netcheck.source.construction.ways import scope_of, ways
from netcheck.source.models import required_arguments
from netcheck.source.parse import Unreadable, read
from netcheck.source.scopes import FunctionNode, Scope


def evidence(file: str, qualname: str) -> tuple[str, ...]:
    """All that a class which needs arguments is built from, beside its own file: calls, options, configuration files."""
    scope = scope_of(file, qualname)
    if scope is None or not lacks_arguments(scope):
        return ()
    project = project_of(file)
    stamps = [f"{one}:{os.stat(one).st_size}:{os.stat(one).st_mtime_ns}" for one in project.settings if os.path.isfile(one)]
    found = ways(file, qualname)
    if all(way.unknown for way in found):  # then what resembles it counts, too
        found = (*found, *ways_of_namesakes(file, qualname))
        models = tuple(one for name in parameters_of(scope) for one in models_elsewhere(file, qualname, name))
    else:
        models = ()
    given = [*models, *(value for way in found for value in (*way.args, *way.kwargs.values()))]
    return (repr(found), repr(models), repr(options_of(project)), *stamps, *content_of(given))


def content_of(given: Iterable[Any]) -> Iterator[str]:
    """The text of the files whose classes and functions some values name."""
    pending = list(given)
    files = set()
    while pending:
        value = pending.pop()
        if isinstance(value, Named):
            files.add(value.file)
        elif isinstance(value, Made):
            pending += [value.callee, *value.args, *value.kwargs.values(), *value.then.values()]
        elif isinstance(value, list | tuple | set):
            pending += value
        elif isinstance(value, dict | Record):
            pending += (value.fields if isinstance(value, Record) else value).values()
    for file in sorted(files - {""}):
        with suppress(Unreadable):
            yield sha256(read(file)).hexdigest()


def lacks_arguments(scope: Scope) -> bool:
    """Whether a class or function cannot be called as it is."""
    if isinstance(scope.node, FunctionNode):
        return required_arguments(scope.node) > 0
    constructor = constructor_of(scope)
    if constructor is not None:
        return isinstance(constructor.node, FunctionNode) and required_arguments(constructor.node) > 1
    return isinstance(scope.node, ast.ClassDef) and bool(scope.node.decorator_list)  # a dataclass


def parameters_of(scope: Scope) -> list[str]:
    """The names of the parameters of a class or function."""
    constructor = scope if isinstance(scope.node, FunctionNode) else constructor_of(scope)
    return [] if constructor is None else sorted(constructor.parameters)


def constructor_of(scope: Scope) -> Scope | None:
    """The constructor of a class, its own or inherited; None where it has none in the project."""
    return next((m for one in family(scope) for m in file_index(one).scopes.get(f"{one.qualname}.__init__", [])[-1:]), None)
