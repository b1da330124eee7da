"""What the block under `if __name__ == "__main__":` defines for the classes and functions of its file. Imports no torch.

class Net(nn.Module):                         reads the globals n_hidden and n_class
    def __init__(self):
        self.out = nn.Linear(n_hidden, n_class)

if __name__ == "__main__":
    n_hidden = 5                              n_hidden = 5
    words = open("words.txt").read()          words = open("words.txt").read()
    n_class = len(words)                      n_class = len(words)
    net = Net()                               -
    train(net)                                -
"""

from __future__ import annotations

import ast
from collections.abc import Container

from netcheck.source.models import is_never_imported, training_line
from netcheck.source.needed import bound, needed
from netcheck.source.scopes import FunctionNode


def needed_of_main(tree: ast.Module, known: Container[str]) -> tuple[ast.Module, list[str]]:
    """The statements of the block that define what the file's classes and functions read, and the names; none that trains.

    Args:
        tree: the file.
        known: the names that are defined without the block.
    """
    branches = [one for one in tree.body if isinstance(one, ast.If) and is_never_imported(one.test)]
    blocks = [one for one in branches if "__name__" in names(one.test)]
    whole = ast.Module([statement for block in blocks for statement in block.body], [])
    defined = {name for statement in whole.body for name in bound(statement)}
    classes = {one.name for one in tree.body if isinstance(one, ast.ClassDef)}
    wanted: list[str] = []
    for name in sorted(name for name in defined & read_inside(tree) if name not in known):
        part = needed(whole, [name]).body
        makes_model = any(isinstance(node, ast.Call) and names(node.func) & classes for one in part for node in ast.walk(one))
        if not makes_model and not any(training_line(one, tree) for one in part):
            wanted.append(name)
    return (needed(whole, wanted) if wanted else ast.Module([], [])), wanted


def read_inside(tree: ast.Module) -> set[str]:
    """The names that the classes and functions at the top of a file read."""
    inside = [one for one in tree.body if isinstance(one, ast.ClassDef | FunctionNode)]
    return {node.id for one in inside for node in ast.walk(one) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def names(node: ast.AST) -> set[str]:
    """All names in an expression."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
