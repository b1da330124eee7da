"""The part of a file that its models need, so that the rest need not be run. Imports no torch.

    import wandb                      -
    import torch.nn as nn             import torch.nn as nn
    WIDTH = 64                        WIDTH = 64
    model = nn.Linear(WIDTH, 10)      model = nn.Linear(WIDTH, 10)
    for batch in load():              -
        model(batch).backward()       -

A notebook is run in this form; of a script all is run, but what its models do not need may neither take long nor fail the check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.source.models import trains
from netcheck.source.scopes import FunctionNode

LOOPS = ast.For | ast.AsyncFor | ast.While
ALWAYS = frozenset({"netcheck_inputs"})  # what the loader looks for beside the model


def needed(module: ast.Module, symbols: Iterable[str]) -> ast.Module:
    """The statements at the top of a module that define the symbols, and all that these use, in order."""
    kept = needed_numbers(module, symbols)
    return ast.Module([statement for number, statement in enumerate(module.body) if number in kept], module.type_ignores)


def needed_numbers(module: ast.Module, symbols: Iterable[str]) -> set[int]:
    """The same as numbers of statements."""
    wanted = {symbol.split(".")[0] for symbol in symbols} | ALWAYS
    modules = imported(module)
    kept: set[int] = set()
    changed = True
    while changed:
        changed = False
        for number, statement in enumerate(module.body):
            if number not in kept and serves(statement, wanted, modules):
                kept.add(number)
                wanted |= used(statement)
                changed = True
    return kept


def imported(module: ast.Module) -> set[str]:
    """The names that a module gives to others that it imports."""
    return {
        alias.asname or alias.name.split(".")[0]
        for statement in module.body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for alias in statement.names
    }


def serves(statement: ast.stmt, wanted: set[str], modules: set[str]) -> bool:
    """Whether a statement binds or changes one of the wanted names, or changes where modules are found.

    `torch.set_default_dtype(...)` changes a module; a loop that calls something of it does not: `torch.randn(...)`.
    """
    if isinstance(statement, ast.ImportFrom) and (statement.module == "__future__" or statement.names[0].name == "*"):
        return True
    if isinstance(statement, ast.ClassDef | FunctionNode):
        return statement.name in wanted
    if trains(statement):
        return False
    changed = changed_by(statement) - (modules if isinstance(statement, LOOPS) else set())
    return bool((bound(statement) | changed) & wanted) or changes_path(statement)


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
