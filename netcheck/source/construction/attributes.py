"""Attributes and items of values: of a configuration, a module, an object of the project, of self. Imports no torch."""

from __future__ import annotations

import ast
from typing import Any

from netcheck.source.builders import class_scope, family, file_index
from netcheck.source.construction.bindings import bindings
from netcheck.source.construction.evaluation import Evaluation, Frame
from netcheck.source.construction.values import Made, Module, Named, Record, Unknown
from netcheck.source.construction.way import Way
from netcheck.source.scopes import SELF, FunctionNode, Scope, index, is_super

LAST = 10**9  # a line after all others


def attribute(evaluator: Evaluation, node: ast.Attribute, frame: Frame) -> Any:
    """`x.name`."""
    key = frame.scope.key(node)
    if key.startswith(f"{SELF}.") and SELF not in frame.given and frame.scope.self_name not in frame.given:
        return of_self(evaluator, key, frame, node.lineno)
    if key and (found := evaluator.assigned(key, frame, node.lineno)) is not None and not isinstance(found, Unknown):
        return found
    return attribute_of(evaluator, evaluator.value(node.value, frame), node.attr)


def attribute_of(evaluator: Evaluation, base: Any, name: str) -> Any:
    """An attribute of a value."""
    if name in evaluator.forced and not isinstance(base, Module | Named):
        return evaluator.forced[name]
    match base:
        case Unknown():
            return evaluator.looked_up((*base.trail, name))
        case Record():
            return base.fields[name] if name in base.fields else evaluator.looked_up((name,))
        case Module():
            found = evaluator.of_module(base.file, name)
            return Unknown((name,)) if found is None else found
        case Named(file="") if base.name == "builtins":
            return Unknown((name,))
        case Named(file=""):
            return Named("", f"{base.name}.{name}")
        case Named():
            return of_class(evaluator, base, Made(base), name)
        case Made() if base.callee.file:
            return of_class(evaluator, base.callee, base, name)
        case dict() if name in base:
            return base[name]
    return Unknown((name,))


def of_class(evaluator: Evaluation, named: Named, made: Made, name: str) -> Any:
    """An attribute of an object of the project: an argument of a dataclass, a default, what `__init__` assigns."""
    files = index(named.file)
    if name in made.then:
        return made.then[name]
    for scope in (files.scopes.get(named.name, [])[-1:]) if files else ():
        for one in family(scope):
            initializer = file_index(one).scopes.get(f"{one.qualname}.__init__", [])[-1:]
            for method in initializer:
                given = bound_to(method, made)
                if (found := evaluator.assigned(f"{SELF}.{name}", Frame(method, given), LAST)) is not None:
                    return found
                made = handed_on(evaluator, made, Frame(method, given))
            if not initializer and name in made.kwargs:
                return made.kwargs[name]
            if f"{one.qualname}.{name}" in file_index(one).scopes:
                return Named(one.file.path, f"{one.qualname}.{name}")
            if not initializer and (number := field_number(one, name)) is not None and number < len(made.args):
                return made.args[number]
            if (found := evaluator.assigned(name, Frame(one), LAST)) is not None:
                return field_default(found)
    return evaluator.looked_up((named.last, name))


def handed_on(evaluator: Evaluation, made: Made, frame: Frame) -> Made:
    """What a constructor gives to that of its base class: `super().__init__(...)`."""
    for node in ast.walk(frame.scope.node):
        if isinstance(node, ast.Call) and is_constructor_above(node.func):
            args, kwargs = evaluator.arguments(node, frame)
            return Made(made.callee, tuple(args), kwargs)
    return Made(made.callee)


def is_constructor_above(function: ast.expr) -> bool:
    """Whether a call is that of the base class's constructor."""
    return isinstance(function, ast.Attribute) and function.attr == "__init__" and is_super(function.value)


def of_self(evaluator: Evaluation, key: str, frame: Frame, line: int) -> Any:
    """An attribute of the object whose method is read, by this method and then the others of its class."""
    own = [one for one in bindings(frame.scope).get(key, []) if one.line < line]
    if own and (found := evaluator.assigned(key, frame, line)) is not None and not isinstance(found, Unknown):
        return found
    head, _, last = key.rpartition(".")
    if head != SELF:
        return attribute_of(evaluator, of_self(evaluator, head, frame, line), last)
    owner = class_scope(frame.scope)
    for one in family(owner) if owner is not None else ():
        for method in file_index(one).methods(one):
            if (found := evaluator.assigned(key, Frame(method), LAST)) is not None and method is not frame.scope:
                return found
        if (found := evaluator.assigned(last, Frame(one), LAST)) is not None:
            return field_default(found)
    return evaluator.looked_up((last,))


def subscript(evaluator: Evaluation, node: ast.Subscript, frame: Frame) -> Any:
    """`x[key]`."""
    key = frame.scope.key(node)
    found = evaluator.assigned(key, frame, node.lineno) if key and not key.startswith(SELF) else None
    if found is not None and not isinstance(found, Unknown):
        return found
    base, at = evaluator.value(node.value, frame), evaluator.value(node.slice, frame)
    if isinstance(at, str) and at in evaluator.forced and isinstance(base, Record | Unknown):
        return evaluator.forced[at]
    if isinstance(base, Unknown):
        return evaluator.looked_up((*base.trail, at)) if isinstance(at, str | int) else Unknown(base.trail)
    if isinstance(base, Record):
        return base.fields.get(at, evaluator.looked_up((at,))) if isinstance(at, str) else Unknown()
    if isinstance(base, dict) and isinstance(at, Unknown):
        return next(iter(base.values())) if len(base) == 1 else Unknown()
    return base[at] if isinstance(base, list | tuple | dict | str) else Unknown()


def bound_to(method: Scope, call: Made | Way) -> dict[str, Any]:
    """The arguments of a call, by the names that the constructor has for them."""
    assert isinstance(method.node, FunctionNode)
    names = [argument.arg for argument in (*method.node.args.posonlyargs, *method.node.args.args)][1:]
    return {**dict(zip(names, call.args, strict=False)), **call.kwargs}


def field_number(scope: Scope, name: str) -> int | None:
    """Which field of a dataclass has this name; None of a function that makes what is asked for."""
    if not isinstance(scope.node, ast.ClassDef):
        return None
    fields = [s.target.id for s in scope.node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    return fields.index(name) if name in fields else None


def field_default(value: Any) -> Any:
    """The default of a field: of `field(default=3)` the 3, of `field(default_factory=list)` what that makes."""
    if isinstance(value, Made) and value.callee.last == "field":
        if "default" in value.kwargs:
            return value.kwargs["default"]
        factory = value.kwargs.get("default_factory")
        empty: dict[str, Any] = {"builtins.list": [], "builtins.dict": {}, "builtins.tuple": ()}
        return empty.get(factory.name, Made(factory)) if isinstance(factory, Named) else Unknown()
    return value
