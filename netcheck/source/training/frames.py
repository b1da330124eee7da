"""Names while a program is followed: which object a name of a function stands for.

    def train(net, opt):          called as train(model, optimizer):
        opt.step()                the key of `opt` is "optimizer", that of a local `x` is "train@12:x"

The attributes of an object have its key before their name: "Trainer@40.model".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from netcheck.source.builders import family, file_index
from netcheck.source.scopes import FunctionNode, Scope, is_super, local_names


@dataclass(eq=False)
class Frame:
    """One call of a function that is followed.

    Attributes:
        scope: the function, or the module.
        aliases: what keys stand for that were given what has one; all frames share it.
        prefix: what stands before the keys of its own names.
        itself: the key of the object that its method is called on.
        outer: the frame of the function around it.
        functions: those that are defined in it.
    """

    scope: Scope
    aliases: dict[str, str]
    prefix: str = ""
    itself: str = ""
    outer: Frame | None = None
    functions: dict[str, Scope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.local = local_names(self.scope.node) if isinstance(self.scope.node, FunctionNode) else frozenset()

    def meant(self, key: str) -> str:
        """What a key stands for."""
        for _ in range(20):
            if key not in self.aliases:
                break
            key = self.aliases[key]
        return key

    def own(self, name: str) -> str:
        """The key of a plain name, whatever it stands for."""
        if self.itself and name == self.scope.self_name:
            return self.itself
        if name in self.local:
            return f"{self.prefix}{name}"
        return self.outer.own(name) if self.outer is not None else name

    def key(self, expression: ast.expr) -> str:
        """The key of what a name, an attribute or a constant item stands for; "" for anything else."""
        found = self.unmeant(expression)
        return self.meant(found) if found else ""

    def unmeant(self, expression: ast.expr) -> str:
        """The key of a name, an attribute or a constant item itself: of what is assigned to."""
        if isinstance(expression, ast.Name):
            return self.own(expression.id)
        if isinstance(expression, ast.Attribute):
            base = self.key(expression.value)
            return f"{base}.{expression.attr}" if base else ""
        if isinstance(expression, ast.Subscript) and isinstance(expression.slice, ast.Constant):
            base, place = self.key(expression.value), expression.slice.value
            return f"{base}.{place}" if base and isinstance(place, str | int) else ""
        return self.itself if is_super(expression) else ""

    def function(self, name: str) -> tuple[Scope, Frame | None] | None:
        """A function of the file that a plain name stands for, and the frame that it is defined in."""
        if name in self.functions:
            return self.functions[name], self
        if name in self.local:
            return None
        if self.outer is not None:
            return self.outer.function(name)
        found = top(self.scope, name)
        return None if found is None or not isinstance(found.node, FunctionNode) else (found, None)


def top(scope: Scope, name: str) -> Scope | None:
    """The last class or function of a name at the top of a scope's file."""
    found = file_index(scope).scopes.get(name, [])
    return found[-1] if found and name else None


def inner(frame: Frame, node: FunctionNode) -> Scope | None:
    """The scope of a function that is defined in a frame."""
    scopes = (one for found in file_index(frame.scope).scopes.values() for one in found)
    return next((one for one in scopes if one.node is node), None)


def method_of(owner: Scope, name: str) -> Scope | None:
    """A method of a class or of its nearest base in the file."""
    for one in family(owner):
        if one.file is owner.file and (found := file_index(one).scopes.get(f"{one.qualname}.{name}")):
            return found[-1]
    return None


def parameters(function: FunctionNode, *, bound: bool) -> list[str]:
    """The names of the positional parameters, without the first of a method."""
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if bound else names


def arguments(call: ast.Call, function: FunctionNode, *, bound: bool) -> Iterator[tuple[str, ast.expr]]:
    """The arguments of a call by the parameters that they are given to."""
    names = parameters(function, bound=bound)
    for name, value in zip(names, call.args, strict=False):
        if isinstance(value, ast.Starred):
            return
        yield name, value
    known = {*names, *(one.arg for one in function.args.kwonlyargs)}
    yield from ((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg in known and keyword.arg)


def defaults(function: FunctionNode) -> Iterator[tuple[str, ast.expr]]:
    """The parameters that have a default, with it."""
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    spec = function.args.defaults
    yield from zip(names[len(names) - len(spec) :], spec, strict=True)
    pairs = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    yield from ((one.arg, value) for one, value in pairs if value is not None)
