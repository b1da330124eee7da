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
from netcheck.source.imports import definitions
from netcheck.source.scopes import FileIndex, FunctionNode, Scope, index

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
    """Whether what the call at a place makes may be moved, on a way that was not taken: `noise = torch.randn(4)`, and then
    `if x.is_cuda: noise = noise.cuda()`, or a function that does so; or the call itself is one of the two ways.
    """
    found = index(place.file) if place is not None else None
    if found is None or place is None:
        return False
    for call in calls_at(found, place):
        scope = enclosing(found, call)
        statements = [node for node in ast.walk(scope.node) if isinstance(node, ast.Assign)]
        names = {name for node in statements if any(each is call for each in ast.walk(node.value)) for name in targets(node)}
        after = [node for node in statements if node.lineno > call.lineno and is_move(node.value)]
        if any(names.intersection(targets(node)) for node in after):
            return True
        if is_handed_to_a_mover(call, names, scope) or is_one_of_two_ways(call, scope):
            return True
    return False


def is_one_of_two_ways(call: ast.Call, scope: Scope) -> bool:
    """Whether a call stands below a question about the device: `if x.is_cuda: ... else: torch.ones(2)`."""
    for node in ast.walk(scope.node):
        asks = isinstance(node, ast.If | ast.IfExp) and "cuda" in ast.unparse(node.test).lower()
        if asks and any(each is call for each in ast.walk(node)):
            return True
    return False


def is_handed_to_a_mover(call: ast.Call, names: set[str], scope: Scope) -> bool:
    """Whether a call, or a name for it, is handed to a function whose body moves tensors: `variable(torch.zeros(2))`."""
    for node in ast.walk(scope.node):
        if isinstance(node, ast.Call) and any(each is call or ast.unparse(each) in names for each in node.args):
            bodies = [found.node for found in definitions(node.func, scope) if isinstance(found.node, FunctionNode)]
            if any(isinstance(each, ast.expr) and is_move(each) for body in bodies for each in ast.walk(body)):
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
