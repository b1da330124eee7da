"""What an expression builds: the calls that it comes down to. No torch.

    resolve(expr)   self.act = act if fancy else nn.ReLU()    ->  the calls behind names, choices and wrappers

Names are followed to what they were assigned in the same scope, `self.x` through the methods of the class,
and helpers (`self._make_layer(...)`, `conv_bn(...)`) into what they return, also in another file of the tree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from netcheck.source import imports
from netcheck.source.scopes import SELF, FileIndex, FunctionNode, Scope, index_file, is_super, own_statements

# Callables that return what they are given, as far as its place in the source goes.
TRANSPARENT = frozenset(
    {"list", "tuple", "set", "iter", "reversed", "sorted", "cast", "deepcopy", "copy", "compile", "script"}
    | {"weight_norm", "spectral_norm", "prepare"}
)
Active = frozenset[tuple[int, str]]  # the (scope, key) pairs being followed: `x = f(x)` must end
NOWHERE: Active = frozenset()
DEEPEST = 24  # names that follow each other; real code needs five


@dataclass(frozen=True, eq=False, slots=True)
class Site:
    """An expression and the scope that it stands in. `settled` is False for what came from outside,
    a parameter.
    """

    expression: ast.expr
    scope: Scope
    settled: bool = True


def file_index(scope: Scope) -> FileIndex:
    """The index of the file of a scope."""
    return index_file(scope.file)


def class_scope(scope: Scope) -> Scope | None:
    """The class that a method belongs to."""
    return scope.parent if scope.owner is not None else None


def family(scope: Scope, depth: int = 6) -> Iterator[Scope]:
    """A class and those of its bases whose source can be found, nearest first."""
    yield scope
    if not isinstance(scope.node, ast.ClassDef) or depth == 0:
        return
    for base in scope.node.bases:
        for found in imports.definitions(base, scope.parent or scope):
            if found is not scope:
                yield from family(found, depth - 1)


def called_functions(function: ast.expr, scope: Scope) -> list[Scope]:
    """The functions that the callee of a call stands for, where their source can be found."""
    if isinstance(function, ast.Attribute) and (is_super(function.value) or scope.key(function.value) == SELF):
        owner = class_scope(scope)
        for one in family(owner) if owner is not None else ():
            methods = file_index(one).scopes.get(f"{one.qualname}.{function.attr}")
            if methods:
                return methods
        return []
    return [found for found in imports.definitions(function, scope) if isinstance(found.node, FunctionNode)]


def returned(function: Scope) -> list[ast.expr]:
    """What a function returns or yields."""
    found = []
    for statement in own_statements(function.node):
        if isinstance(statement, ast.Return) and statement.value is not None:
            found.append(statement.value)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield) and statement.value.value:
            found.append(statement.value.value)
    return found


def resolve(expression: ast.expr, scope: Scope, active: Active = NOWHERE) -> Iterator[Site]:
    """The calls that an expression comes down to, through names and choices; nothing for None."""
    if isinstance(expression, ast.IfExp):
        yield from resolve(expression.body, scope, active)
        yield from resolve(expression.orelse, scope, active)
    elif isinstance(expression, ast.BoolOp):
        for value in expression.values:
            yield from resolve(value, scope, active)
    elif isinstance(expression, ast.Starred | ast.NamedExpr | ast.Await):
        yield from resolve(expression.value, scope, active)
    elif isinstance(expression, ast.Name | ast.Attribute):
        yield from resolve_key(expression, scope, active)
    elif isinstance(expression, ast.Subscript):
        if isinstance(expression.value, ast.Dict):
            for value in expression.value.values:
                yield from resolve(value, scope, active)
        else:
            yield Site(expression, scope)
    elif isinstance(expression, ast.Call):
        yield Site(expression, scope)
        name = dotted(expression.func).rpartition(".")[2]
        if expression.args and (name[:1].islower() or not name):
            yield from (Site(arg, scope) for arg in expression.args if isinstance(arg, ast.Call))
        if isinstance(expression.func, ast.Attribute) and isinstance(expression.func.value, ast.Call | ast.Name):
            yield from resolve_chained(expression.func.value, scope, active)
    elif not isinstance(expression, ast.Constant | ast.Lambda):
        yield Site(expression, scope)


def resolve_chained(value: ast.expr, scope: Scope, active: Active) -> Iterator[Site]:
    """The call before a method: `nn.Linear(2, 3).to(device)`; but not `nn` in `nn.Linear(2, 3)`."""
    if isinstance(value, ast.Call):
        yield from resolve(value, scope, active)


def resolve_key(expression: ast.expr, scope: Scope, active: Active) -> Iterator[Site]:
    """Follow a name or an attribute of self to what it was assigned."""
    key = scope.key(expression)
    mark = (id(scope), key)
    if not key or mark in active or len(active) > DEEPEST:
        return
    found = values_of(key, scope, until=expression.lineno)
    if not found:
        yield Site(expression, scope, settled=False)
    for value, where in found:
        if value is not expression:
            yield from resolve(value, where, active | {mark})


def values_of(key: str, scope: Scope, until: int | None = None) -> list[tuple[ast.expr, Scope]]:
    """What a key is assigned: in this scope before the line `until`, in the class for `self.x`,
    else around it.
    """
    if key.startswith(f"{SELF}."):
        owner = class_scope(scope)
        for one in family(owner) if owner is not None else ():
            found = [(v, m) for m in file_index(one).methods(one) for v in m.assigned.get(key, ())]
            if found:
                return found
        return []
    here = [value for value in scope.assigned.get(key, ()) if until is None or value.lineno <= until]
    if here or key in scope.parameters:
        return [(value, scope) for value in here[::-1]]  # the last one first: it is the nearest
    outer = scope.parent
    while outer is not None and isinstance(outer.node, ast.ClassDef):
        outer = outer.parent
    return values_of(key, outer) if outer is not None else []


def dotted(expression: ast.expr) -> str:
    """`nn.init.zeros_` as text, "" for anything but names and attributes."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        base = dotted(expression.value)
        return f"{base}.{expression.attr}" if base else ""
    return ""
