"""The calls by which a project builds one of its classes, the best understood first. Imports no torch.

ways("models.py", "GCN")    Way("train.py", 40, args=(), kwargs={"nfeat": Unknown(...), "nhid": 16, "nclass": 7})
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from netcheck.source.builders import dotted
from netcheck.source.construction.callers import calls_of
from netcheck.source.construction.evaluate import Evaluator
from netcheck.source.construction.evaluation import Frame
from netcheck.source.construction.names import named_ways
from netcheck.source.construction.project import Project, Site, calls_in, project_of
from netcheck.source.construction.values import Module, Named, Record
from netcheck.source.construction.way import Way
from netcheck.source.scopes import Scope, index

MOST = 8  # ways that are handed on


@lru_cache(maxsize=512)
def ways(file: str, qualname: str) -> tuple[Way, ...]:
    """How a project builds a class or calls a factory.

    Args:
        file: the absolute path of its file.
        qualname: its qualified name there.
    """
    scope = scope_of(file, qualname)
    if scope is None:
        return ()
    project = project_of(file)
    found = [way_of(evaluator, site) for site, evaluator in sites_of(project, scope)]
    found += named_ways(project, scope)
    return tuple(sorted(unique(found), key=lambda way: rank(way, file))[:MOST])


def is_package(file: str) -> bool:
    """Whether a file is an installed package's: others than its project are not looked through for calls."""
    return not {"site-packages", "dist-packages"}.isdisjoint(file.split(os.sep))


def scope_of(file: str, qualname: str) -> Scope | None:
    """A class or function of a file of the project's; None where there is none, or the file is an installed package's."""
    files = index(file) if not is_package(file) else None
    return next(iter(files.scopes.get(qualname, [])[-1:]), None) if files else None


def unique(found: list[Way]) -> list[Way]:
    """Ways that differ in what they give."""
    return list({str(way).partition("(")[2]: way for way in reversed(found)}.values())[::-1]


def rank(way: Way, own: str) -> tuple[int, bool, bool]:
    """What comes first: what is known, what is no test, what stands in the class's own file."""
    is_test = any(part.startswith("test") for part in way.file.split(os.sep)[-3:])
    return way.unknown, is_test, way.file != own


def sites_of(project: Project, scope: Scope) -> Iterator[tuple[Site, Evaluator]]:
    """The calls of a class with what evaluates them, also those through a table of classes: `MODELS[name](...)`."""
    name = getattr(scope.node, "name", "")
    evaluator = Evaluator(project, name)
    for site in calls_of(project, scope, name):
        if not is_within(site.scope, scope) or is_of_class(site):
            yield site, evaluator
    for table, key in tables_with(project, name):
        for site, chosen_by in calls_of_table(project, table):
            yield site, Evaluator(project, key, {chosen_by: key} if chosen_by else {})
    for site, chosen_by in calls_by_getattr(project, scope, name):
        yield site, Evaluator(project, name, {chosen_by: name} if chosen_by else {})


def is_of_class(site: Site) -> bool:
    """Whether a call is that of `cls` in a method of the class itself."""
    return isinstance(site.call.func, ast.Name) and site.call.func.id == "cls"


def is_within(inner: Scope, outer: Scope) -> bool:
    """Whether a scope lies in another one."""
    place: Scope | None = inner
    while place is not None and place is not outer:
        place = place.parent
    return place is outer


def tables_with(project: Project, name: str) -> Iterator[tuple[str, str]]:
    """The variables that hold a dict with a class among its values, and its key there."""
    for file in project.mentioning(name):
        files = index(file)
        for node in ast.walk(files.file.tree) if files else ():
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name):
                for key, one in zip(node.value.keys, node.value.values, strict=True):
                    if last_of(one) == name and isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield node.targets[0].id, key.value


def last_of(node: ast.expr) -> str:
    """The last part of a dotted name, "" for anything else."""
    return dotted(node).rpartition(".")[2]


def calls_of_table(project: Project, table: str) -> Iterator[tuple[Site, str]]:
    """Calls of what a dict has, `table[args.model](...)`, and the name of the option that chooses: model."""
    for file in project.mentioning(table):
        for sites in calls_in(file).values():
            for site in sites:
                chooser = chooser_of(site.call.func, site.scope, table)
                if chooser is not None:
                    yield site, chooser


def calls_by_getattr(project: Project, scope: Scope, name: str) -> Iterator[tuple[Site, str]]:
    """Calls of what is looked up in a module by its name: `getattr(models, args.arch)(...)`."""
    for file in project.mentioning("getattr("):
        for key in ("", *(key for key in calls_in(file) if key)):
            for site in calls_in(file).get(key, ()):
                for looked in looked_up(site.call.func, site.scope):
                    module = Evaluator(project).value(looked.args[0], Frame(site.scope))
                    if isinstance(module, Module) and has_class(project, module, scope, name):
                        yield site, name_of_option(looked.args[1])


def looked_up(function: ast.expr, scope: Scope) -> Iterator[ast.Call]:
    """The `getattr` that gives a callee, also by a variable."""
    values = scope.assigned.get(function.id, []) if isinstance(function, ast.Name) else [function]
    for value in values:
        if isinstance(value, ast.Call) and dotted(value.func) == "getattr" and len(value.args) == 2:
            yield value


def has_class(project: Project, module: Module, scope: Scope, name: str) -> bool:
    """Whether a module has a class under its name."""
    found = Evaluator(project).of_module(module.file, name)
    return isinstance(found, Named) and (found.file, found.name) == (scope.file.path, scope.qualname)


def name_of_option(key: ast.expr) -> str:
    """The name of the option that an expression reads, "" if it reads none: of `config["arch"]["type"]` "type"."""
    if isinstance(key, ast.Subscript) and isinstance(key.slice, ast.Constant):
        return str(key.slice.value)
    return key.attr if isinstance(key, ast.Attribute) else ""


def chooser_of(function: ast.expr, scope: Scope, table: str) -> str | None:
    """What chooses an item of a dict with this name; "" where that has no name; None if a callee is no item of it."""
    if isinstance(function, ast.Name):
        values = (value for value in scope.assigned.get(function.id, ()) if value is not function)
        return next((found for value in values if (found := chooser_of(value, scope, table)) is not None), None)
    if isinstance(function, ast.Call) and isinstance(function.func, ast.Attribute) and function.func.attr == "get":
        base, key = function.func.value, next(iter(function.args), None)
    elif isinstance(function, ast.Subscript):
        base, key = function.value, function.slice
    else:
        return None
    if last_of(base) != table:
        return None
    return "" if key is None else name_of_option(key)


def way_of(evaluator: Evaluator, site: Site) -> Way:
    """One call with its arguments evaluated."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    frame = Frame(site.scope)
    try:
        args = evaluator.elements(site.call.args, frame)
    except ValueError:
        return Way(site.file, site.call.lineno)
    for keyword in site.call.keywords:
        value = evaluator.value(keyword.value, frame)
        if keyword.arg is not None:
            kwargs[keyword.arg] = value
        elif isinstance(value, Record | dict):
            kwargs |= value.fields if isinstance(value, Record) else value
    return Way(site.file, site.call.lineno, tuple(args), kwargs)
