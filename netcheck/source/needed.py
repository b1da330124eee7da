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
from netcheck.source.scopes import COMPREHENSIONS, FunctionNode, local_names

LOOPS = ast.For | ast.AsyncFor | ast.While
READERS = frozenset(
    "parameters named_parameters children modules named_modules buffers state_dict eval train forward predict evaluate score "
    "items keys values get copy count index format split join strip lower upper replace startswith endswith encode decode "
    "mean sum std max min item tolist numpy to cpu cuda float long double half size dim numel view reshape permute transpose "
    "squeeze unsqueeze flatten detach clone astype head tail info summary sample save dump exists iterdir glob parse_args "
    "add_argument parse_known_args".split()
)
ALWAYS = frozenset({"netcheck_inputs"})  # what the loader looks for beside the model


def needed(module: ast.Module, symbols: Iterable[str]) -> ast.Module:
    """The statements at the top of a module that define the symbols, and all that these use, in order."""
    kept = needed_numbers(module, symbols)
    return ast.Module([statement for number, statement in enumerate(module.body) if number in kept], module.type_ignores)


def needed_numbers(module: ast.Module, symbols: Iterable[str]) -> set[int]:
    """The same as numbers of statements. A statement that trains is none of them, unless it alone makes what is wanted."""
    goals = {symbol.split(".")[0] for symbol in symbols}
    wanted = goals | ALWAYS
    modules = imported(module)
    changers = {node.name: changed_arguments(node) for node in module.body if isinstance(node, FunctionNode)}
    makers = {number: names for number, statement in enumerate(module.body) if (names := bound(statement) & goals)}
    end = max(makers, default=0)
    elsewhere = {name for number, names in makers.items() if not trains(module.body[number]) for name in names}
    kept = {number for number, names in makers.items() if names - elsewhere}
    wanted |= {name for number in kept for name in used(module.body[number])}
    changed = True
    while changed:
        changed = False
        for number, statement in enumerate(module.body):
            effects = called_on(statement, changers) - modules if number < end else set()
            if number not in kept and (serves(statement, wanted, modules) or effects & (wanted - goals)):
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


def called_on(statement: ast.stmt, changers: dict[str, set[int]]) -> set[str]:
    """The names whose values a statement may change by what it calls: `ids = vocab.load(text)`, `n = fill(vocab)`.

    Args:
        statement: at the top of a module.
        changers: the functions of the module, with the numbers of those arguments that each changes.
    """
    if isinstance(statement, ast.ClassDef | FunctionNode) or trains(statement):
        return set()
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not only_reads(node.func.attr):
            found.add(root_name(node.func))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            places = changers.get(node.func.id, ())
            found |= {root_name(node.args[place]) for place in places if place < len(node.args)}
    return found - {""}


def changed_arguments(function: FunctionNode) -> set[int]:
    """The numbers of the arguments that a function changes in place."""
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    changed = {name for statement in function.body for name in changed_by(statement) | called_on(statement, {})}
    return {number for number, name in enumerate(names) if name in changed}


def only_reads(method: str) -> bool:
    """Whether a method leaves its object as it is, by its name."""
    return method in READERS or method.startswith(("get_", "is_", "has_", "to_", "as_", "plot", "show", "print", "describe"))


def root_name(node: ast.AST) -> str:
    """The name that a chain of attributes, subscripts and calls begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def changes_path(statement: ast.stmt) -> bool:
    """Whether a statement changes where Python looks for modules."""
    return isinstance(statement, ast.Expr) and ast.unparse(statement).startswith(("sys.path.", "site.addsitedir"))


def used(statement: ast.stmt) -> set[str]:
    """The names that a statement reads of the module, inside functions too: not those that these bind for themselves."""
    found: set[str] = set()
    pending: list[tuple[ast.AST, frozenset[str]]] = [(statement, frozenset())]
    while pending:
        node, own = pending.pop()
        if isinstance(node, ast.Name) and node.id not in own:
            found.add(node.id)
        inner = own | names_inside(node)
        pending += [(child, inner if is_inside(node, child) else own) for child in ast.iter_child_nodes(node)]
    return found


def names_inside(node: ast.AST) -> frozenset[str]:
    """The names that a function, a lambda or a comprehension binds for itself."""
    if isinstance(node, FunctionNode):
        return local_names(node)
    if isinstance(node, ast.Lambda):
        return frozenset(one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg))
    if isinstance(node, COMPREHENSIONS):
        targets = (one for each in node.generators for one in ast.walk(each.target))
        return frozenset(one.id for one in targets if isinstance(one, ast.Name))
    return frozenset()


def is_inside(node: ast.AST, child: ast.AST) -> bool:
    """Whether a part of a node sees the names that the node binds for itself: not decorators, defaults and annotations."""
    if isinstance(node, FunctionNode):
        return isinstance(child, ast.stmt)
    return not (isinstance(node, ast.Lambda) and isinstance(child, ast.arguments))
