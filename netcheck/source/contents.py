"""What a collection holds: as it is written, and all that happened to it until it is used. No torch.

    contents(expr)         nn.Sequential(*layers)    ->  a Recipe, from what happened to `layers`
    events([statements])   layers.append(...)        ->  (whether it was assigned anew, what was put in since)

An assignment forgets what was before it; a loop repeats what its body puts in; a branch is a choice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from netcheck.source.builders import (
    DEEPEST,
    NOWHERE,
    TRANSPARENT,
    Active,
    called_functions,
    class_scope,
    dotted,
    family,
    file_index,
    returned,
    values_of,
)
from netcheck.source.recipe import Choice, Many, One, Recipe, anything
from netcheck.source.scopes import SELF, FunctionNode, Scope, assignments, is_super

END = 1 << 30  # a line after every line


# ---- as it is written --------------------------------------------------------------------------------------------------


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


# ---- what has happened to it ------------------------------------------------------------------------------------------


def history(key: str, scope: Scope, until: int = END, active: Active = NOWHERE) -> Recipe:
    """What the collection `key` holds when line `until` of `scope` is reached.

    `self.x` is followed through all methods of the class; a key that the function does not know, to the scope
    around it.
    """
    if key == SELF or key.startswith(f"{SELF}."):
        return class_history(key, scope, until, active)
    assigned, recipe = events(key, body_of(scope), scope, until, active)
    if assigned or recipe or key in scope.parameters:
        return recipe if assigned else anything(scope) + recipe
    outer = scope.parent
    while outer is not None and isinstance(outer.node, ast.ClassDef):
        outer = outer.parent
    return history(key, outer, END, active) if outer is not None else anything(scope)


def class_history(key: str, scope: Scope, until: int, active: Active) -> Recipe:
    """What `self.x` holds: `__init__` first, then what the other methods add;
    the nearest class that assigns it counts.
    """
    owner = scope if isinstance(scope.node, ast.ClassDef) else class_scope(scope)
    found: Recipe = ()
    assigned_anywhere = False
    for one in family(owner) if owner is not None else ():
        for method in file_index(one).methods(one):
            if key not in method.assigned and key not in method.mutated and key != SELF:
                continue
            limit = until if method is scope else END
            assigned, recipe = events(key, body_of(method), method, limit, active)
            if assigned and assigned_anywhere and found:
                found = (Choice((found, recipe)),)
            else:
                found = recipe if assigned else found + recipe
            assigned_anywhere = assigned_anywhere or assigned
        if assigned_anywhere:
            break
    return found if assigned_anywhere else anything(scope) + found


def body_of(scope: Scope) -> Sequence[ast.stmt]:
    """The statements of a scope."""
    return scope.node.body


def events(key: str, statements: Sequence[ast.stmt], scope: Scope, until: int, active: Active) -> tuple[bool, Recipe]:
    """Whether these statements assign `key` anew, and what they put into it (since then, if so)."""
    anew = False
    recipe: Recipe = ()
    for statement in statements:
        if statement.lineno > until:
            break
        if isinstance(statement, ast.ClassDef | FunctionNode):
            continue
        if isinstance(statement, ast.For | ast.AsyncFor | ast.While):
            inner, body = events(key, statement.body, scope, until, active)
            last, after = events(key, statement.orelse, scope, until, active)
            recipe = (body if inner else recipe + ((Many(body),) if body else ())) + after
            anew = anew or inner or last
        elif isinstance(statement, ast.If | ast.Match | ast.Try):
            anew, recipe = branched(key, statement, scope, until, active, anew, recipe)
        elif isinstance(statement, ast.With | ast.AsyncWith):
            inner, body = events(key, statement.body, scope, until, active)
            anew, recipe = anew or inner, body if inner else recipe + body
        else:
            assigned, added = event(key, statement, scope, until, active, recipe)
            anew, recipe = anew or assigned, added if assigned else recipe + added
    return anew, recipe


def branched(
    key: str,
    statement: ast.If | ast.Match | ast.Try,
    scope: Scope,
    until: int,
    active: Active,
    anew: bool,
    recipe: Recipe,
) -> tuple[bool, Recipe]:
    """The state after an if, match or try statement, given the state before it."""
    if isinstance(statement, ast.If):
        if statement.body[-1].end_lineno is not None and statement.lineno <= until <= statement.body[-1].end_lineno:
            blocks = [statement.body]  # the use is in this branch: the other one did not run
        elif statement.orelse and statement.orelse[0].lineno <= until <= (statement.end_lineno or END):
            blocks = [statement.orelse]
        else:
            blocks = [statement.body, statement.orelse]
    elif isinstance(statement, ast.Match):
        blocks = [case.body for case in statement.cases]
    else:
        blocks = [
            [*statement.body, *statement.orelse, *statement.finalbody],
            *(h.body for h in statement.handlers),
        ]
    ends = [events(key, block, scope, until, active) for block in blocks]
    if len(ends) == 1:
        assigned, added = ends[0]
        return anew or assigned, added if assigned else recipe + added
    if any(assigned for assigned, _ in ends):
        ways = tuple(added if assigned else recipe + added for assigned, added in ends)
        return True, (Choice(ways),)
    if any(added for _, added in ends):
        return anew, (*recipe, Choice(tuple(added for _, added in ends)))
    return anew, recipe


def event(key: str, statement: ast.stmt, scope: Scope, until: int, active: Active, before: Recipe) -> tuple[bool, Recipe]:
    """What one simple statement does to `key`: (assigned anew, what it put in)."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add) and scope.key(statement.target) == key:
        return False, contents(statement.value, scope, active)
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return assigned(key, statement, scope, until, active, before)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return called(key, statement.value, scope, active)
    return False, ()


def assigned(
    key: str, statement: ast.Assign | ast.AnnAssign, scope: Scope, until: int, active: Active, before: Recipe
) -> tuple[bool, Recipe]:
    """`key = ...`, `key[name] = ...`, `key = key + [...]`."""
    for target, value in assignments(statement):
        if scope.key(target) == key:
            if (statement.end_lineno or statement.lineno) > until or statement.lineno == until:
                return False, ()  # `layers = nn.Sequential(*layers)`: the use is in its own assignment
            if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
                sides = [
                    before if scope.key(side) == key else contents(side, scope, active) for side in (value.left, value.right)
                ]
                return True, sides[0] + sides[1]
            return True, contents(value, scope, active)
        if isinstance(target, ast.Subscript) and scope.key(target.value) == key:
            return False, (One(value, scope, pattern(target.slice)),)
        if isinstance(target, ast.Subscript) and scope.key(target.value) == f"{key}._modules":
            return False, (One(value, scope, pattern(target.slice)),)
    return False, ()


def called(key: str, call: ast.Call, scope: Scope, active: Active) -> tuple[bool, Recipe]:
    """`key.append(...)`, `key.add_module(...)`, `setattr(key, ...)`,
    and for a container `super().__init__(...)`.
    """
    arguments = call.args
    if isinstance(call.func, ast.Name):
        if call.func.id == "setattr" and len(arguments) == 3 and scope.key(arguments[0]) == key:
            return False, (One(arguments[2], scope, pattern(arguments[1])),)
        return False, ()
    if not isinstance(call.func, ast.Attribute):
        return False, ()
    method = call.func.attr
    if method == "__init__" and key == SELF:
        return constructed(call, scope, active)
    if scope.key(call.func.value) != key:
        return False, ()
    if method in ("append", "appendleft") and len(arguments) == 1:
        return False, (item(arguments[0], scope),)
    if method in ("extend", "update") and len(arguments) == 1:
        return False, contents(arguments[0], scope, active)
    if method == "insert" and len(arguments) == 2:
        return False, (item(arguments[1], scope),)
    if method in ("add_module", "register_module", "__setattr__", "setdefault") and len(arguments) == 2:
        return False, (One(arguments[1], scope, pattern(arguments[0])),)
    if method in ("add_module", "register_module") and len(arguments) == 1:
        return False, (One(call, scope, pattern(arguments[0])),)  # self.add_module(*pair)
    if method in ("add_module", "register_module") and len(call.keywords) == 2:
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if given.keys() == {"name", "module"}:
            return False, (One(given["module"], scope, pattern(given["name"])),)
    return False, ()


def constructed(call: ast.Call, scope: Scope, active: Active) -> tuple[bool, Recipe]:
    """`super().__init__(*layers)`, `nn.Sequential.__init__(self, *layers)` in a class that is a container."""
    assert isinstance(call.func, ast.Attribute)
    if is_super(call.func.value):
        arguments = call.args
    elif call.args and scope.key(call.args[0]) == SELF:
        arguments = call.args[1:]
    else:
        return False, ()
    return True, contents_of_call(
        ast.copy_location(ast.Call(ast.copy_location(ast.Name("Container"), call), arguments, []), call),
        scope,
        active,
    )
