"""Which names a file uses: what its author does with a model, as far as the file shows it. Imports no
torch.
"""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from pathlib import Path


def names_used(file: str) -> frozenset[str]:
    """Every identifier in the code of a file: `F.nll_loss(x)` uses "F", "nll_loss" and "x". Empty if
    unreadable.

    Comments and strings do not count. Cells of notebooks count, as far as Python knows their text.
    """
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
    return frozenset(names)
