"""How a project builds what resembles a class that it never builds itself. Imports no torch.

old/models.py  class Unet      train.py  from models import Unet; Unet(dim=64)       another class of the same name
class Wrapper(model, steps)    train.py  Trainer(model=Unet(dim=64))                 another class's argument of the same name
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from netcheck.source.builders import file_index
from netcheck.source.construction.attributes import bound_to
from netcheck.source.construction.evaluate import Evaluator
from netcheck.source.construction.project import Project, project_of
from netcheck.source.construction.values import Made, is_known
from netcheck.source.construction.way import Way
from netcheck.source.construction.ways import is_package, rank, scope_of, way_of, ways
from netcheck.source.imports import definitions
from netcheck.source.scopes import Scope, index

MOST_FILES = 40  # in which a parameter is looked for
MOST_CLASSES = 8  # whose calls are looked at


@lru_cache(maxsize=512)
def ways_of_namesakes(file: str, qualname: str) -> tuple[Way, ...]:
    """The calls of other classes of a class's name.

    Args:
        file: the absolute path of its file.
        qualname: its qualified name there.
    """
    scope = scope_of(file, qualname)
    if scope is None or not isinstance(scope.node, ast.ClassDef):
        return ()
    project, name = project_of(file), scope.node.name
    evaluator = Evaluator(project, name)
    sites = [site for site in project.calls(name) if is_namesake(definitions(site.call.func, site.scope), scope)]
    return tuple(sorted((way_of(evaluator, site) for site in sites), key=lambda way: rank(way, file)))


def is_namesake(found: list[Scope], scope: Scope) -> bool:
    """Whether a callee is a class of the project, and another one."""
    return bool(found) and all(isinstance(one.node, ast.ClassDef) and one.file.path != scope.file.path for one in found)


@lru_cache(maxsize=512)
def models_elsewhere(file: str, qualname: str, parameter: str) -> tuple[Made, ...]:
    """What calls of other classes give for a parameter of this name, where that is an object, the commonest first.

    Args:
        file: the absolute path of the class's file.
        qualname: its qualified name there.
        parameter: its parameter.
    """
    if is_package(file):
        return ()
    found: list[Made] = []
    for scope, _ in zip(classes_with(project_of(file), parameter), range(MOST_CLASSES), strict=False):
        if (scope.file.path, scope.qualname) != (file, qualname):
            given = (argument(way, scope, parameter) for way in ways(scope.file.path, scope.qualname))
            found += [one for one in given if isinstance(one, Made) and one.callee.file and is_known(one)]
    texts = [repr(one) for one in found]
    return tuple(sorted({repr(one): one for one in found}.values(), key=lambda one: -texts.count(repr(one))))


def classes_with(project: Project, parameter: str) -> Iterator[Scope]:
    """The classes of a project whose constructor has a parameter of this name."""
    for file in project.mentioning(parameter)[:MOST_FILES]:
        files = index(file)
        for scope in files.classes() if files else ():
            for method in files.scopes.get(f"{scope.qualname}.__init__", [])[-1:] if files else ():
                if parameter in method.parameters:
                    yield scope


def argument(way: Way, scope: Scope, parameter: str) -> Any:
    """What a call gives for a parameter of a class's constructor; None where it does not."""
    return bound_to(file_index(scope).scopes[f"{scope.qualname}.__init__"][-1], way).get(parameter)
