"""What an expression builds: the calls that it comes down to, and what a container holds. No torch.

    resolve(expr)   self.act = act if fancy else nn.ReLU()    ->  the calls behind names, choices and wrappers
    contents(expr)  nn.Sequential(*layers)                    ->  a Recipe, from what happened to `layers`

Names are followed to what they were assigned in the same scope, `self.x` through the methods of the class,
and helpers (`self._make_layer(...)`, `conv_bn(...)`) into what they return, also in another file of the tree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netcheck.source import imports
from netcheck.source.recipe import Choice, Many, One, Recipe, anything
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


def contents(expression: ast.expr, scope: Scope, active: Active = NOWHERE) -> Recipe:
    """What a list, a dict, a generator or a container built by this expression holds."""
    match expression:
        case ast.List() | ast.Tuple() | ast.Set():
            return in_order(expression.elts, scope, active)
        case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
            return comprehended(expression, scope, active)
        case ast.Dict():
            return tuple(
                part
                for key, value in zip(expression.keys, expression.values, strict=True)
                for part in (contents(value, scope, active) if key is None else (One(value, scope, pattern(key)),))
            )
        case ast.DictComp():
            return (Many((One(expression.value, scope, pattern(expression.key)),)),)
        case ast.BinOp(op=ast.Add()):
            return contents(expression.left, scope, active) + contents(expression.right, scope, active)
        case ast.BinOp(op=ast.Mult()):
            side = expression.left if isinstance(expression.left, ast.List | ast.Tuple) else expression.right
            return (Many(contents(side, scope, active)),)
        case ast.IfExp():
            return (Choice((contents(expression.body, scope, active), contents(expression.orelse, scope, active))),)
        case ast.Starred() | ast.NamedExpr():
            return contents(expression.value, scope, active)
        case ast.Subscript(slice=ast.Slice()):
            return (Many((Choice(tuple((part,) for part in contents(expression.value, scope, active))),)),)
        case ast.Name() | ast.Attribute():
            return contents_of_key(expression, scope, active)
        case ast.Call():
            return contents_of_call(expression, scope, active)
        case ast.Constant(value=None):
            return ()
    return anything(scope)


def in_order(elements: Iterable[ast.expr], scope: Scope, active: Active) -> Recipe:
    """The elements of a display or the arguments of a call, starred ones unpacked."""
    parts: list[One | Many | Choice] = []
    for element in elements:
        if isinstance(element, ast.Starred):
            parts += contents(element.value, scope, active)
        else:
            parts.append(item(element, scope))
    return tuple(parts)


def item(element: ast.expr, scope: Scope) -> One:
    """One item; a pair `("conv1", nn.Conv2d(...))` is an item with a name."""
    if isinstance(element, ast.Tuple) and len(element.elts) == 2:
        return One(element.elts[1], scope, pattern(element.elts[0]))
    return One(element, scope)


def comprehended(expression: ast.ListComp | ast.GeneratorExp | ast.SetComp, scope: Scope, active: Active) -> Recipe:
    """What a comprehension makes; `[m for _ in blocks for m in (conv(), relu())]` repeats the inner pair."""
    last = expression.generators[-1]
    if isinstance(expression.elt, ast.Name) and dotted(last.target) == expression.elt.id:
        return (Many(contents(last.iter, scope, active)),)
    return (Many((item(expression.elt, scope),)),)


def contents_of_call(call: ast.Call, scope: Scope, active: Active) -> Recipe:
    """What the container that a call returns holds."""
    name = dotted(call.func).rpartition(".")[2]
    mark = (id(call), "()")
    if mark in active or len(active) > DEEPEST:
        return anything(scope)
    active = active | {mark}
    functions = called_functions(call.func, scope)
    if functions:
        results = [contents(value, function, active) for function in functions for value in returned(function)]
        return (Choice(tuple(results)),) if results else anything(scope)
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call) and not is_super(call.func.value):
        return contents(call.func.value, scope, active)  # nn.Sequential(...).to(device)
    if name == "map" and len(call.args) > 1:
        made = call.args[0].body if isinstance(call.args[0], ast.Lambda) else call
        return (Many((One(made, scope),)),)
    if name == "chain":
        return tuple(part for arg in call.args for part in contents(arg, scope, active))
    if name in TRANSPARENT and call.args:
        return contents(call.args[0], scope, active)
    named = tuple(One(k.value, scope, re.compile(re.escape(k.arg))) for k in call.keywords if k.arg)
    unpacked = tuple(p for k in call.keywords if not k.arg for p in contents(k.value, scope, active))
    if len(call.args) == 1 and not isinstance(call.args[0], ast.Starred) and is_collection(call.args[0], scope):
        return contents(call.args[0], scope, active) + named + unpacked
    given = in_order(call.args, scope, active) + named + unpacked
    if name[:1].islower():  # a class in a variable, or a function whose source is elsewhere
        return (Choice((anything(scope), given)),)
    return given


def is_collection(expression: ast.expr, scope: Scope, depth: int = 6) -> bool:
    """Whether an argument is a collection of modules rather than a module."""
    if isinstance(expression, ast.Call):
        name = dotted(expression.func).rpartition(".")[2]
        if name in {"list", "tuple", "map", "chain", "OrderedDict", "dict", "reversed", "zip", "filter"}:
            return True
        if name == "deepcopy" and expression.args:
            return is_collection(expression.args[0], scope, depth)
        functions = called_functions(expression.func, scope)
        return depth > 0 and any(is_collection(v, f, depth - 1) for f in functions for v in returned(f))
    if isinstance(expression, ast.Name | ast.Attribute) and depth > 0:
        found = values_of(scope.key(expression), scope, until=expression.lineno)
        return any(is_collection(value, where, depth - 1) for value, where in found)
    if isinstance(expression, ast.IfExp):
        return is_collection(expression.body, scope, depth) or is_collection(expression.orelse, scope, depth)
    if isinstance(expression, ast.Subscript):
        return isinstance(expression.slice, ast.Slice)
    collections = ast.List | ast.Tuple | ast.Set | ast.Dict | ast.BinOp
    return isinstance(expression, collections | ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp)


def contents_of_key(expression: ast.expr, scope: Scope, active: Active) -> Recipe:
    """What the collection of this name holds where it is used: all that happened to it until then."""
    from netcheck.source.history import history

    key = scope.key(expression)
    mark = (id(scope), key)
    if not key or mark in active or len(active) > DEEPEST:
        return anything(scope)
    return history(key, scope, expression.lineno, active | {mark})


def pattern(key: ast.expr) -> re.Pattern[str]:
    """What names a string expression may give: f"conv{i}",
    "conv%d" % i and "conv" + str(i) all give `conv.+`.
    """
    return re.compile(pattern_text(key), re.DOTALL)


def pattern_text(key: ast.expr) -> str:
    """The regular expression of `pattern` as text."""
    match key:
        case ast.Constant():
            return re.escape(str(key.value))
        case ast.JoinedStr():
            return "".join(pattern_text(v) if isinstance(v, ast.Constant) else ".+" for v in key.values)
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=template)):
            return re.sub(r"%[-#0 +\d.]*[a-zA-Z]", ".+", re.escape(str(template)).replace("\\%", "%"))
        case ast.BinOp(op=ast.Add()):
            return pattern_text(key.left) + pattern_text(key.right)
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=template))):
            return re.sub(r"\\\{.*?\\\}", ".+", re.escape(str(template)))
    return ".+"
