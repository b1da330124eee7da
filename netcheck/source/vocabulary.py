"""Which names a file uses: what its author does with a model, as far as the file shows it. Imports no
torch.
"""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from pathlib import Path

from netcheck.source.parse import notebook_at

LOGARITHM = "log()"  # of what a variable holds: `p.log()`, `torch.log(p)`; not `logger.log(p)`


def names_used(file: str) -> frozenset[str]:
    """Every identifier in the code of a file: `F.nll_loss(x)` uses "F", "nll_loss" and "x"; and `LOGARITHM`. Empty if
    unreadable.

    Comments and strings do not count. Cells of notebooks count.
    """
    found = notebook_at(file)
    if found is not None:
        return _names_in(found.python)
    try:
        text = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        text = "".join(linecache.getlines(file))
    return _names_in(text)


@lru_cache(maxsize=64)
def _names_in(text: str) -> frozenset[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return frozenset()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and _is_logarithm(node):
            names.add(LOGARITHM)
    return frozenset(names)


def _is_logarithm(call: ast.Call) -> bool:
    of = call.func
    if not isinstance(of, ast.Attribute) or of.attr not in ("log", "log_"):
        return False
    return not (call.args or call.keywords) or (isinstance(of.value, ast.Name) and of.value.id == "torch")
