"""The shapes that docstrings and comments give to the arguments of a method. Imports no torch.

# x: (N, C, H, W)                                x  ("n", "c", "h", "w")
# src = [src len, batch size]                    src  ("src len", "batch size")
x (Tensor): frames of shape (B, T, 80)           x  ("b", "t", "80")
# states = [src len, batch size, hid dim * 2]    states  ("src len", "batch size", "hid dim * 2")
# last = [batch size]                            last  ("batch size",)
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import lru_cache

from netcheck.source.builders import family, file_index
from netcheck.source.scopes import FunctionNode, Scope, index

TOKEN = re.compile(r"\d+|[A-Za-z][\w ./-]{0,30}( ?[*+] ?[\w ./-]{1,20})*|\d+ ?\* ?[A-Za-z][\w ./-]{0,30}")
SINGLE = re.compile(r"(batch|n|num)[ _-]?(size|samples|sz)|batch|bs|b")  # the word for the axis of a vector
MOST_AXES = 6


@lru_cache(maxsize=512)
def shapes_described(file: str, qualname: str, method: str = "forward") -> dict[str, tuple[str, ...]]:
    """What the text of a class says of the axes of a method's arguments, by name; in lower case.

    Args:
        file: the absolute path of its file.
        qualname: the class's qualified name there.
        method: one of its methods.
    """
    files = index(file)
    scopes = files.scopes.get(qualname, []) if files else []
    for owner in family(scopes[-1]) if scopes else ():
        for scope in file_index(owner).scopes.get(f"{owner.qualname}.{method}", [])[-1:]:
            if isinstance(scope.node, FunctionNode):
                lines = [*said_in(scope), *(ast.get_docstring(owner.node) or "").splitlines()]
                return dict(described(lines, scope.node))
    return {}


def said_in(scope: Scope) -> Iterator[str]:
    """The lines of a function's docstring, and its comments."""
    assert isinstance(scope.node, FunctionNode)
    yield from (ast.get_docstring(scope.node) or "").splitlines()
    text = "\n".join(scope.file.lines[scope.node.lineno - 1 : scope.node.end_lineno])
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.string
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return


def described(lines: list[str], node: FunctionNode) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The first shape that a line gives to each argument."""
    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        name = re.escape(argument.arg)
        subject = rf"(?:^|[\s#*`:]){name}`?\s*(?:\.shape|\.size\(\))?\s*(?:\([A-Za-z_. ]*\))?"
        form = re.compile(subject + r"\s*[:=-][^\[({\n]*[\[({]([^\])}\n]+)[\])}]")
        for line in lines:
            match = form.search(line)
            axes = tuple(part.strip(" `'\"*").lower() for part in match[1].split(",")) if match else ()
            if not match or len(axes) > MOST_AXES or (len(axes) == 1 and not SINGLE.fullmatch(axes[0])):
                continue
            if all(TOKEN.fullmatch(axis) for axis in axes):
                yield argument.arg, axes
                break
