"""Where a project calls a function, also where it does so by another name. Imports no torch.

main(args)                              a function
Trainer(args)                           a constructor
super().__init__(args)                  the constructor, in a subclass
Chosen = Trainer; Chosen(args)          the same by a variable
trainer.fit(loader)                     a method: any call of that name in the same file
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from netcheck.source.builders import class_scope, dotted, file_index
from netcheck.source.construction.project import Project, Site, calls_in
from netcheck.source.imports import definitions
from netcheck.source.scopes import FunctionNode, Scope, index, is_super

DEEPEST = 4  # subclasses of subclasses
MOST_FILES = 40  # in which a name is looked for


def callers(project: Project, scope: Scope) -> list[Site]:
    """The calls of a function or method, the nearest ways first."""
    node = scope.node
    assert isinstance(node, FunctionNode)
    owner = class_scope(scope)
    if owner is None:
        return list(calls_of(project, scope, node.name))
    if node.name == "__init__":
        return list(constructions(project, owner, DEEPEST))
    if node.name.startswith("__"):
        return []
    here = [site for site in calls_in(scope.file.path).get(node.name, []) if isinstance(site.call.func, ast.Attribute)]
    return [*here, *(site for site in project.calls(node.name) if site.file != scope.file.path and is_of(site, owner))]


def is_of(site: Site, owner: Scope) -> bool:
    """Whether a call is of a method of a class by the class's name: `Net.build(args)`."""
    function = site.call.func
    return isinstance(function, ast.Attribute) and means(function.value, site.scope, owner)


def constructions(project: Project, owner: Scope, depth: int) -> Iterator[Site]:
    """The calls that run a class's own constructor."""
    assert isinstance(owner.node, ast.ClassDef)
    yield from calls_of(project, owner, owner.node.name)
    for below in subclasses(project, owner) if depth else ():
        own = file_index(below).scopes.get(f"{below.qualname}.__init__", [])[-1:]
        if not own:
            yield from constructions(project, below, depth - 1)
        for method in own:
            for node in ast.walk(method.node):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Attribute) and called.attr == "__init__" and is_super(called.value):
                    yield Site(node, method)  # type: ignore[arg-type]  # it is a call


def calls_of(project: Project, scope: Scope, name: str) -> Iterator[Site]:
    """The calls of a class or function by its name, or by a variable that is set to it."""
    for site in project.calls(name):
        if means(site.call.func, site.scope, scope):
            yield site
    for alias, file in aliases(project, scope, name):
        yield from calls_in(file).get(alias, ())
    if isinstance(scope.node, ast.ClassDef):
        yield from (site for site in calls_in(scope.file.path).get("cls", ()) if site.scope.owner is scope.node)


def means(function: ast.expr, where: Scope, scope: Scope) -> bool:
    """Whether an expression stands for this class or function."""
    return any(one.node is scope.node for one in definitions(function, where))


def aliases(project: Project, scope: Scope, name: str) -> Iterator[tuple[str, str]]:
    """The variables that are set to a class or function, with their files: `Exp = Trainer`."""
    for file in project.mentioning(name)[:MOST_FILES]:
        files = index(file)
        for group in files.scopes.values() if files else ():
            for place in group:
                for key, values in place.assigned.items():
                    if any(dotted(value).rpartition(".")[2] == name and means(value, place, scope) for value in values):
                        yield key, file


def subclasses(project: Project, owner: Scope) -> Iterator[Scope]:
    """The classes of a project that derive from one."""
    assert isinstance(owner.node, ast.ClassDef)
    name = owner.node.name
    for file in project.mentioning(name)[:MOST_FILES]:
        files = index(file)
        for one in files.classes() if files else ():
            assert isinstance(one.node, ast.ClassDef)
            bases = [base for base in one.node.bases if dotted(base).rpartition(".")[2] == name]
            if any(means(base, one.parent or one, owner) for base in bases):
                yield one
