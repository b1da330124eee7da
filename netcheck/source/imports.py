"""Which file of the tree an import names, and which class or function a name in a file stands for. Imports no
torch.
"""

from __future__ import annotations

import ast
import os
import sys
from functools import lru_cache

from netcheck.source.added_paths import added_paths
from netcheck.source.scopes import FileIndex, FunctionNode, Scope, index, index_file

HIGHEST = 12  # folders above a file in which the top of its project, and an absolute import, are looked for
PROJECT_FILES = (".git", "pyproject.toml", "setup.py", "setup.cfg")
LONGEST = 6  # re-exports that follow each other
NOT_FOLLOWED = frozenset({"torch"})  # its classes are known by name, and its files are long


def definitions(expression: ast.expr, scope: Scope) -> list[Scope]:
    """The classes or functions that a (dotted) name stands for, where their source is in the same tree."""
    parts = dotted_parts(expression)
    if not parts:
        return []
    if len(parts) == 1:
        around: Scope | None = scope
        files = index_file(scope.file)
        while around is not None:
            if around.node is scope.node or not isinstance(around.node, ast.ClassDef):
                inner = ".<locals>." if isinstance(around.node, FunctionNode) else "."
                name = f"{around.qualname}{inner}{parts[0]}" if around.qualname else parts[0]
                if name in files.scopes:
                    return files.scopes[name]
            around = around.parent
    return named(index_file(scope.file), parts)


def dotted_parts(expression: ast.expr) -> tuple[str, ...]:
    """`blocks.conv.ConvBlock` as its parts, () for anything but names and attributes."""
    if isinstance(expression, ast.Name):
        return (expression.id,)
    if isinstance(expression, ast.Attribute):
        base = dotted_parts(expression.value)
        return (*base, expression.attr) if base else ()
    return ()


def named(files: FileIndex, parts: tuple[str, ...], depth: int = LONGEST) -> list[Scope]:
    """What a dotted name means at the top of a file, through imports and re-exports."""
    here = files.scopes.get(".".join(parts))
    if here:
        return here
    target = files.imports.get(parts[0])
    if target is None:
        return starred(files, parts, depth)
    return find(files.file.path, target, parts[1:], depth)


def find(path: str, target: str, rest: tuple[str, ...], depth: int) -> list[Scope]:
    """What `target` (".blocks.ConvBlock", "torch.nn"), imported by the file `path`, and then `.rest` mean."""
    if depth == 0:
        return []
    level = len(target) - len(target.lstrip("."))
    parts = [part for part in target[level:].split(".") if part] + list(rest)
    for split in range(len(parts), -1, -1):  # the longest beginning that is a module
        module = module_file(os.path.dirname(os.path.abspath(path)), level, ".".join(parts[:split]))
        if module is None and level == 0 and split:
            module = next(filter(None, (file_in(place, parts[:split]) for place in folders_added(path))), None)
        if module is None or split == len(parts):
            continue
        found = index(module)
        return named(found, tuple(parts[split:]), depth - 1) if found else []
    return []


def folders_added(path: str) -> tuple[str, ...]:
    """The folders that a file adds to the path of imports."""
    files = index(path)
    return added_paths(files) if files is not None else ()


def starred(files: FileIndex, parts: tuple[str, ...], depth: int) -> list[Scope]:
    """What a name means that may come from `from x import *`."""
    for target in reversed(files.stars):
        if depth > 0 and (found := find(files.file.path, target, parts, depth)):
            return found
    return []


def imported_as(files: FileIndex, name: str, depth: int = LONGEST) -> str:
    """The full dotted name that a name of a file has by its imports, or by those of a file that it imports `*` from.

    `nn` is torch.nn; a name that nothing imports is itself.
    """
    if name in files.imports:
        return files.imports[name]
    guess = name  # of a module whose names cannot be looked up
    for target in reversed(files.stars if depth > 0 else ()):
        level = len(target) - len(target.lstrip("."))
        module = module_file(os.path.dirname(os.path.abspath(files.file.path)), level, target[level:])
        if module is None and level == 0 and target.partition(".")[0] not in sys.stdlib_module_names:
            guess = f"{target}.{name}"
        other = index(module) if module is not None else None
        if other is not None and (found := imported_as(other, name, depth - 1)) != name:
            return found
    return guess


@lru_cache(maxsize=8192)
def module_file(folder: str, level: int, module: str) -> str | None:
    """The file of a module that a file in `folder` imports, if it is in the same tree.

    Args:
        folder: the absolute folder of the importing file.
        level: the number of leading dots; 0 for an absolute import.
        module: the dotted name after the dots, "" for the package itself.
    """
    parts = module.split(".") if module else []
    if level:
        base = folder
        for _ in range(level - 1):
            base = os.path.dirname(base)
        return file_in(base, parts)
    if not parts or parts[0] in NOT_FOLLOWED:
        return None
    places = (*project_roots(folder), *(place for base in folders_above(folder) for place in (base, os.path.join(base, "src"))))
    return next(filter(None, (file_in(place, parts) for place in places)), None)


@lru_cache(maxsize=4096)
def folders_above(folder: str) -> tuple[str, ...]:
    """A folder and those above it, up to the work tree of git that it lies in."""
    found = [folder]
    while len(found) < HIGHEST and os.path.dirname(folder) != folder and not os.path.exists(os.path.join(folder, ".git")):
        folder = os.path.dirname(folder)
        found.append(folder)
    return tuple(found)


def is_top(folder: str) -> bool:
    """Whether a project begins at a folder."""
    return any(os.path.exists(os.path.join(folder, name)) for name in PROJECT_FILES)


@lru_cache(maxsize=4096)
def project_roots(folder: str) -> tuple[str, ...]:
    """The tops of the projects that a folder lies in, the nearest first, each with its `src`.

    Imports look there first, as those of a program do that is started from the top.
    """
    tops = filter(is_top, folders_above(folder))
    return tuple(place for top in tops for place in (top, os.path.join(top, "src")) if os.path.isdir(place))


def file_in(root: str, parts: list[str]) -> str | None:
    """The file of the module `parts` under the folder `root`."""
    place = os.path.join(root, *parts)
    for candidate in (os.path.join(place, "__init__.py"), f"{place}.py" if parts else ""):
        if candidate and os.path.isfile(candidate):
            return candidate
    return None
