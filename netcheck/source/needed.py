"""The part of a file that its models need, so that the rest need not be run. Imports no torch.

    import wandb                      -
    import torch.nn as nn             import torch.nn as nn
    WIDTH = 64                        WIDTH = 64
    model = nn.Linear(WIDTH, 10)      model = nn.Linear(WIDTH, 10)
    for batch in load():              -
        model(batch).backward()       -

A notebook, and a script that trains at its top level, is run in this form.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.source.models import trains
from netcheck.source.scopes import FunctionNode

ALWAYS = frozenset({"netcheck_inputs"})  # what the loader looks for beside the model


def needed(module: ast.Module, symbols: Iterable[str]) -> ast.Module:
    """The statements at the top of a module that define the symbols, and all that these use, in order."""
    wanted = {symbol.split(".")[0] for symbol in symbols} | ALWAYS
    kept: set[int] = set()
    changed = True
    while changed:
        changed = False
        for number, statement in enumerate(module.body):
            if number not in kept and serves(statement, wanted):
                kept.add(number)
                wanted |= used(statement)
                changed = True
    return ast.Module([module.body[number] for number in sorted(kept)], module.type_ignores)


def serves(statement: ast.stmt, wanted: set[str]) -> bool:
    """Whether a statement binds or changes one of the wanted names, or changes where modules are found."""
    if isinstance(statement, ast.ImportFrom) and (statement.module == "__future__" or statement.names[0].name == "*"):
        return True
    if isinstance(statement, ast.ClassDef | FunctionNode):
        return statement.name in wanted
    if trains(statement):
        return False
    return bool((bound(statement) | changed_by(statement)) & wanted) or changes_path(statement)


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement binds at the top of the module."""
    found: set[str] = set()
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef | FunctionNode):
            found.add(node.name)
            continue
        if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.split(".")[0])
        pending += ast.iter_child_nodes(node)
    return found


def changed_by(statement: ast.stmt) -> set[str]:
    """The names whose values a statement changes in place: `net.fc = ...`, `layers.append(...)`.

    What a function does to its arguments is not followed: `fit(net, data)` is training as often as not.
    """
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.add(root_name(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.add(root_name(node.value.func) if isinstance(node.value.func, ast.Attribute) else "")
    return found - {""}


def root_name(node: ast.AST) -> str:
    """The name that a chain of attributes, subscripts and calls begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def changes_path(statement: ast.stmt) -> bool:
    """Whether a statement changes where Python looks for modules."""
    return isinstance(statement, ast.Expr) and ast.unparse(statement).startswith(("sys.path.", "site.addsitedir"))


def used(statement: ast.stmt) -> set[str]:
    """The names that a statement reads, inside functions too."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
