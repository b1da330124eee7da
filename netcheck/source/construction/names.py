"""Classes that a project builds by a name: in a configuration, or in what a registry is asked for. Imports no torch.

model:                            @MODELS.register("net")          build_model("net", width=8)
  _target_: models.Net            class Net(nn.Module): ...        dict(type="Net", width=8)
  width: 8

arch: {type: Net, args: {width: 8}}
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from netcheck.source.builders import family, file_index
from netcheck.source.construction.evaluate import Evaluator, Frame
from netcheck.source.construction.project import Project, calls_in
from netcheck.source.construction.settings import settings_in
from netcheck.source.construction.values import as_record, is_plain
from netcheck.source.construction.way import Way
from netcheck.source.scopes import FunctionNode, Scope

CHOOSERS = frozenset(
    "type name _target_ target class_path class class_name model arch NAME TYPE model_name model_type module".split()
)
PARAMETERS = frozenset("args params kwargs init_args parameters arguments model_args model_params PARAMS ARGS options".split())
REGISTERS = "register"  # decorators with this in their name


def named_ways(project: Project, scope: Scope) -> list[Way]:
    """The ways to build a class that name it, where they give what it needs."""
    accepted = parameters_of(scope)
    if accepted is None:
        return []
    names = {getattr(scope.node, "name", ""), *registered(scope)}
    found = [*in_settings(project, names), *in_calls(project, scope, names)]
    required, known = accepted
    return [way for way in found if required <= way.kwargs.keys() and (known is None or way.kwargs.keys() <= known)]


def parameters_of(scope: Scope) -> tuple[set[str], set[str] | None] | None:
    """The parameters that a class's constructor requires, and all that it knows (None: any); None where it takes none."""
    for one in family(scope) if isinstance(scope.node, ast.ClassDef) else ():
        for method in file_index(one).scopes.get(f"{one.qualname}.__init__", [])[-1:]:
            assert isinstance(method.node, FunctionNode)
            spec = method.node.args
            positional = [argument.arg for argument in (*spec.posonlyargs, *spec.args)][1:]
            keywords = [argument.arg for argument in spec.kwonlyargs]
            with_default = len(spec.defaults)
            required = {*positional[: len(positional) - with_default]}
            required |= {name for name, default in zip(keywords, spec.kw_defaults, strict=True) if default is None}
            return (required, None if spec.kwarg else {*positional, *keywords}) if required else None
    return None


def registered(scope: Scope) -> Iterator[str]:
    """The names under which a decorator registers a class."""
    for decorator in getattr(scope.node, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and REGISTERS in ast.unparse(decorator.func).lower():
            values = [*decorator.args, *(keyword.value for keyword in decorator.keywords)]
            yield from (one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))


def in_settings(project: Project, names: set[str]) -> Iterator[Way]:
    """The maps of configuration files that choose a class by its name, with what stands beside that or below it."""
    for file in project.settings:
        pending: list[Any] = [settings_in(file)]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                pending += value.values()
                yield from chosen(value, names, file)
            elif isinstance(value, list):
                pending += value


def chosen(table: dict[Any, Any], names: set[str], file: str) -> Iterator[Way]:
    """The way that one map gives, if it chooses the class."""
    texts = {key: one for key, one in table.items() if key in CHOOSERS and isinstance(one, str)}
    choosers = [key for key, one in texts.items() if one.rpartition(".")[2] in names]
    for chooser in choosers[:1]:
        below = [one for key, one in table.items() if key in PARAMETERS and isinstance(one, dict)]
        beside = {key: one for key, one in table.items() if key != chooser}
        for given in [*below, beside]:
            if all(isinstance(key, str) for key in given):
                yield Way(file, 0, (), {key: as_record(one) for key, one in given.items() if key != "_partial_"})


def in_calls(project: Project, scope: Scope, names: set[str]) -> Iterator[Way]:
    """Calls that name the class and give its arguments by name: `dict(type="Net", width=8)`, `build("net", width=8)`."""
    chosen_by = list(registered(scope))
    evaluator = Evaluator(project, getattr(scope.node, "name", ""))
    files = {file for name in names for mark in (f'"{name}"', f"'{name}'") for file in project.mentioning(mark)}
    for file in sorted(files):
        for site in (site for sites in calls_in(file).values() for site in sites):
            first = next((one.value for one in site.call.args if isinstance(one, ast.Constant)), None)
            constants = [one for one in site.call.keywords if one.arg in CHOOSERS and isinstance(one.value, ast.Constant)]
            kinds = [one for one in constants if getattr(one.value, "value", None) in names]
            if not kinds and (first not in chosen_by or len(site.call.args) != 1):
                continue
            rest = [keyword for keyword in site.call.keywords if keyword not in kinds and keyword.arg]
            kwargs = {str(keyword.arg): evaluator.value(keyword.value, Frame(site.scope)) for keyword in rest}
            if kwargs and all(map(is_plain, kwargs.values())):
                yield Way(site.file, site.call.lineno, (), kwargs)
