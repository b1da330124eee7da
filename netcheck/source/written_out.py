"""Whether an argument of a call is written out in the source, or worked out, and whether its result is moved. No torch.

torch.ones(8, device="cpu")                                        written out
DEVICE = "cpu"; ... torch.ones(8, device=DEVICE)                   as well
device = "cuda" if x.is_cuda else "cpu"; torch.ones(8, device=device)      worked out
noise = torch.randn(4); if x.is_cuda: noise = noise.cuda()                 moved further down
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from netcheck.location import Location
from netcheck.source.scopes import FileIndex, Scope, index

MOST_NAMES = 4  # that lead from one to the next
MOVES = ("cuda", "to", "type_as", "type", "cpu")


def is_worked_out(place: Location | None, keyword: str) -> bool:
    """Whether the call at a place gives `keyword` what is no literal and no name of one; False where that cannot be told."""
    found = index(place.file) if place is not None else None
    if found is None or place is None:
        return False
    for call in calls_at(found, place):
        value = next((each.value for each in call.keywords if each.arg == keyword), None)
        if value is not None:
            return not is_literal(value, enclosing(found, call), MOST_NAMES)
    return False


def may_be_moved(place: Location | None) -> bool:
    """Whether what the call at a place makes is moved further down, perhaps on a way that was not taken:
    `noise = torch.randn(4)`, and then `if x.is_cuda: noise = noise.cuda()`.
    """
    found = index(place.file) if place is not None else None
    if found is None or place is None:
        return False
    for call in calls_at(found, place):
        scope = enclosing(found, call)
        statements = [node for node in ast.walk(scope.node) if isinstance(node, ast.Assign)]
        names = {name for node in statements if any(each is call for each in ast.walk(node.value)) for name in targets(node)}
        moves = [
            node for node in statements if node.lineno > call.lineno and names.intersection(targets(node)) and is_move(node.value)
        ]
        if moves:
            return True
    return False


def targets(statement: ast.Assign) -> list[str]:
    """The names and attributes that an assignment is to, as they are written."""
    return [ast.unparse(target) for target in statement.targets if isinstance(target, ast.Name | ast.Attribute)]


def is_move(value: ast.expr) -> bool:
    """Whether an expression moves a tensor: `x.cuda()`, `x.to(device)`, `x.type_as(y)`."""
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in MOVES


def calls_at(found: FileIndex, place: Location) -> Iterator[ast.Call]:
    """The calls that begin where a place does, the outermost first."""
    for node in ast.walk(found.file.tree):
        if isinstance(node, ast.Call) and (node.lineno, node.col_offset + 1) == (place.line, place.column):
            yield node


def enclosing(found: FileIndex, call: ast.Call) -> Scope:
    """The innermost function, class or module that a call stands in."""
    scopes = [scope for group in found.scopes.values() for scope in group if holds(scope, call)]
    return max(scopes, key=lambda scope: getattr(scope.node, "lineno", 0))


def holds(scope: Scope, call: ast.Call) -> bool:
    """Whether a call stands in a scope, by its lines."""
    node = scope.node
    return isinstance(node, ast.Module) or node.lineno <= call.lineno <= (node.end_lineno or node.lineno)


def is_literal(value: ast.expr, scope: Scope, names: int) -> bool:
    """Whether an expression is a literal, `torch.device` of one, or a name that is assigned nothing but literals."""
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "device":
        return all(is_literal(each, scope, names) for each in value.args)
    values = assigned(value, scope) if names else []
    return bool(values) and all(is_literal(each, scope, names - 1) for each in values)


def assigned(name: ast.expr, scope: Scope) -> list[ast.expr]:
    """What a name or an attribute of the instance is assigned, where this body sees it."""
    key = scope.key(name)
    place: Scope | None = scope
    while key and place is not None and key not in place.parameters:
        if key in place.assigned:
            return place.assigned[key]
        place = place.parent
    return []
