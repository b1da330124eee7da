"""What a name is assigned in a scope, in order, and under which conditions. Imports no torch.

if args.dataset == "cora":
    nfeat, nclass = 1433, 7         nclass: the item 1 of a tuple, if args.dataset == "cora"
else:
    nclass = len(data.classes)      nclass: a value, if not
args.nclass = nclass                args.nclass: a value
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from netcheck.source.scopes import FunctionNode, Scope

Conditions = tuple[tuple[ast.expr, bool], ...]

MUTATORS = frozenset("append extend insert pop remove clear sort reverse setdefault add discard appendleft".split())


@dataclass(frozen=True, eq=False, slots=True)
class Binding:
    """One assignment to a key."""

    key: str
    line: int
    value: ast.expr
    conditions: Conditions = ()
    path: tuple[int, ...] = ()  # which item of the value: () is the value itself
    how: str = "value"  # or "each" of a loop, "changed" in place, "updated" with a mapping


known: WeakKeyDictionary[Scope, dict[str, list[Binding]]] = WeakKeyDictionary()


def bindings(scope: Scope) -> dict[str, list[Binding]]:
    """All assignments of a scope by key, each list in the order of the text."""
    if scope not in known:
        found: dict[str, list[Binding]] = {}
        for statement, conditions in guarded(scope.node.body):
            for one in bound_by(statement, scope, conditions):
                found.setdefault(one.key, []).append(one)
        known[scope] = found
    return known[scope]


def guarded(body: list[ast.stmt], conditions: Conditions = ()) -> Iterator[tuple[ast.stmt, Conditions]]:
    """Each statement of a body with the conditions under which it runs, without functions and classes inside."""
    for statement in body:
        yield statement, conditions
        if isinstance(statement, ast.ClassDef | FunctionNode):
            continue
        if isinstance(statement, ast.If):
            yield from guarded(statement.body, (*conditions, (statement.test, True)))
            yield from guarded(statement.orelse, (*conditions, (statement.test, False)))
            if leaves(statement.body) and not statement.orelse:
                conditions = (*conditions, (statement.test, False))
            continue
        for name in ("body", "orelse", "finalbody"):
            block = getattr(statement, name, None)
            if isinstance(block, list):
                yield from guarded(block, conditions)
        for handler in getattr(statement, "handlers", ()):
            yield from guarded(handler.body, conditions)


def leaves(body: list[ast.stmt]) -> bool:
    """Whether a block ends the function or the turn of the loop that it stands in."""
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def bound_by(statement: ast.stmt, scope: Scope, conditions: Conditions) -> Iterator[Binding]:
    """What one statement assigns."""
    line = statement.lineno
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from parts(target, statement.value, scope, line, conditions)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield from parts(statement.target, statement.value, scope, line, conditions)
    elif isinstance(statement, ast.AugAssign):
        yield Binding(scope.key(statement.target), line, statement.value, conditions, how="changed")
    elif isinstance(statement, ast.For):
        yield from parts(statement.target, statement.iter, scope, line, conditions, how="each")
    elif isinstance(statement, ast.With):
        for item in statement.items:
            if item.optional_vars is not None:
                yield from parts(item.optional_vars, item.context_expr, scope, line, conditions)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield from changed_by(statement.value, scope, line, conditions)


def changed_by(call: ast.Call, scope: Scope, line: int, conditions: Conditions) -> Iterator[Binding]:
    """What a call by itself changes: `cfg.update(...)`, `widths.append(3)`, `setattr(args, "n", 3)`."""
    if isinstance(call.func, ast.Attribute):
        how = "updated" if call.func.attr == "update" and call.args else "changed"
        mutates = call.func.attr in MUTATORS
        key = scope.key(call.func.value)
        if key and (how == "updated" or mutates):
            yield Binding(key, line, call.args[0] if call.args else call, conditions, how=how)
    elif isinstance(call.func, ast.Name) and call.func.id == "setattr" and len(call.args) == 3:
        name = call.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and (key := scope.key(call.args[0])):
            yield Binding(f"{key}.{name.value}", line, call.args[2], conditions)


def parts(
    target: ast.expr,
    value: ast.expr,
    scope: Scope,
    line: int,
    conditions: Conditions,
    path: tuple[int, ...] = (),
    how: str = "value",
) -> Iterator[Binding]:
    """The assignments that one target makes; a tuple takes its value apart."""
    if isinstance(target, ast.Tuple | ast.List):
        starred = any(isinstance(one, ast.Starred) for one in target.elts)
        for number, one in enumerate(target.elts):
            if starred:
                yield from parts(one, value, scope, line, conditions, how="changed")
            elif not path and how == "value" and isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                yield from parts(one, value.elts[number], scope, line, conditions)
            else:
                yield from parts(one, value, scope, line, conditions, (*path, number), how)
        return
    if isinstance(target, ast.Starred):
        target = target.value
    if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Constant):
        target, how = target.value, "changed"  # names[word] = number
    if key := scope.key(target):
        yield Binding(key, line, value, conditions, path, how)
