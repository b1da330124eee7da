"""The files that a model's file runs when it is imported, as far as its import statements tell. Imports no torch.

net.py  --import .blocks-->  blocks.py  --import numpy-->  "numpy", which is somebody else's
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import lru_cache

from netcheck.source.imports import module_file
from netcheck.source.parse import Unreadable, parse

MOST = 4096  # files of one tree that are followed


def dependencies(file: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a file imports, and what that imports.

    Returns:
        The files of the same tree, sorted, the file itself among them, as absolute paths; and the names of the other
        packages, sorted, without Python's own.
    """
    first = os.path.abspath(file)
    pending = [first, *packages_around(first)]
    found: dict[str, None] = {}
    others: set[str] = set()
    while pending and len(found) < MOST:
        path = pending.pop()
        if path in found:
            continue
        found[path] = None
        for level, module in imported(path):
            files = files_of(os.path.dirname(path), level, module)
            pending += files
            if not files and not level:
                others.add(module.partition(".")[0])
    return tuple(sorted(found)), tuple(sorted(others - sys.stdlib_module_names))


def imported(path: str) -> tuple[tuple[int, str], ...]:
    """(leading dots, dotted name) of everything that a file imports, wherever in it; nothing if it is no Python."""
    try:
        tree = parse(path).tree
    except Unreadable:
        return ()
    return tuple(dict.fromkeys(names_in(tree)))


def names_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The imports of a syntax tree; of `from a import b` both `a` and `a.b`, which may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield node.level, base
            yield from ((node.level, f"{base}.{alias.name}".lstrip(".")) for alias in node.names if alias.name != "*")


@lru_cache(maxsize=16384)
def files_of(folder: str, level: int, module: str) -> tuple[str, ...]:
    """The files of a module of the same tree and of the packages that it is in."""
    parts = module.split(".") if module else []
    ways = (module_file(folder, level, ".".join(parts[:length])) for length in range(0 if level else 1, len(parts) + 1))
    return tuple(dict.fromkeys(file for file in ways if file))


def packages_around(file: str) -> list[str]:
    """The `__init__.py` of the packages that hold a file: they run before it."""
    found = []
    folder = os.path.dirname(file)
    while os.path.isfile(init := os.path.join(folder, "__init__.py")):
        found.append(init)
        folder = os.path.dirname(folder)
    return found


@lru_cache(maxsize=4096)
def place_of_package(name: str) -> str:
    """The file that `import name` would run, "" where that cannot be told; imports nothing."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return ""
    return spec.origin or "" if spec else ""
