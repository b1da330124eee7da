"""All that happened to a collection until it is used: assigned, appended to in loops and branches, extended.
No torch.

    events([statements]) -> (whether it was assigned anew, what was put in since)

An assignment forgets what was before it; a loop repeats what its body puts in; a branch is a choice.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from netcheck.source import builders
from netcheck.source.builders import Active, contents, pattern
from netcheck.source.recipe import Choice, Many, One, Recipe, anything
from netcheck.source.scopes import SELF, FunctionNode, Scope, assignments

END = 1 << 30  # a line after every line


def history(key: str, scope: Scope, until: int = END, active: Active = builders.NOWHERE) -> Recipe:
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
    owner = scope if isinstance(scope.node, ast.ClassDef) else builders.class_scope(scope)
    found: Recipe = ()
    assigned_anywhere = False
    for one in builders.family(owner) if owner is not None else ():
        for method in builders.file_index(one).methods(one):
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
        return False, (builders.item(arguments[0], scope),)
    if method in ("extend", "update") and len(arguments) == 1:
        return False, contents(arguments[0], scope, active)
    if method == "insert" and len(arguments) == 2:
        return False, (builders.item(arguments[1], scope),)
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
    if builders.is_super(call.func.value):
        arguments = call.args
    elif call.args and scope.key(call.args[0]) == SELF:
        arguments = call.args[1:]
    else:
        return False, ()
    return True, builders.contents_of_call(
        ast.copy_location(ast.Call(ast.copy_location(ast.Name("Container"), call), arguments, []), call),
        scope,
        active,
    )
