"""The folders that a file adds to the path of imports before it imports. Imports no torch.

sys.path.append("../src")                                      beside the file: ../src
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "src"))
"""

from __future__ import annotations

import ast
import os
from functools import lru_cache

from netcheck.source.scopes import FileIndex

_SAME = ("abspath", "realpath", "normpath", "expanduser", "str", "Path", "resolve", "absolute")  # of a path: where it leads


@lru_cache(maxsize=4096)
def added_paths(files: FileIndex) -> tuple[str, ...]:
    """The folders, absolute, in the order in which the file adds them; those that there are."""
    if b"sys.path" not in files.file.raw:
        return ()
    found = []
    for node in ast.walk(files.file.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.path.append", "sys.path.insert") and node.args:
            place = path_of(node.args[-1], files.file.path)
            if place is not None:
                found.append(os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(files.file.path)), place)))
    return tuple(folder for folder in dict.fromkeys(found) if os.path.isdir(folder))


def path_of(expression: ast.expr, file: str) -> str | None:
    """The path that an expression of constants, `__file__`, os.path and pathlib stands for; None for any other."""
    match expression:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id="__file__"):
            return os.path.abspath(file)
        case ast.Attribute(attr="pardir"):
            return os.pardir
        case ast.Attribute(value=inner, attr="parent"):
            return above(path_of(inner, file))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return joined([path_of(left, file), path_of(right, file)])
        case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(count))):
            place = path_of(inner, file)
            for _ in range(count + 1):
                place = above(place)
            return place
        case ast.Call(func=function, args=args):
            return path_of_call(ast.unparse(function).rpartition(".")[2], function, args, file)
    return None


def path_of_call(name: str, function: ast.expr, args: list[ast.expr], file: str) -> str | None:
    """The path that a call gives: `os.path.join(...)`, `os.path.dirname(...)`, `os.getcwd()`, `Path(...).resolve()`."""
    if name == "join":
        return joined([path_of(each, file) for each in args])
    if name == "dirname" and args:
        return above(path_of(args[0], file))
    if name == "getcwd":
        return os.curdir
    if name in _SAME:
        subject = args[0] if args else getattr(function, "value", None)
        return path_of(subject, file) if subject is not None else None
    return None


def above(path: str | None) -> str | None:
    """The folder that something lies in."""
    return os.path.dirname(path) or os.curdir if path is not None else None


def joined(parts: list[str | None]) -> str | None:
    """Parts of a path together; None where one is not known."""
    known = [part for part in parts if part is not None]
    return os.path.join(*known) if known and len(known) == len(parts) else None
