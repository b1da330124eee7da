"""What the docstring of a class or function says of its parameters. Imports no torch.

Args:
        width (int): how wide                       width: int
        mode (str, optional): 'sum' or 'mean'       mode: str, words 'sum' and 'mean'
    rate : float                                    rate: float
    :param list sizes: of the layers                sizes: list
    :type depth: int                                depth: int
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache

from netcheck.source.builders import family, file_index
from netcheck.source.scopes import FunctionNode, Scope, index

KINDS: dict[str, type] = {
    "int": int, "integer": int, "float": float, "str": str, "string": str, "bool": bool, "boolean": bool, "list": list,
    "tuple": tuple, "dict": dict, "sequence": list, "iterable": list, "none": type(None),
}  # fmt: skip
FORMS = (
    re.compile(r"^[ \t]*\*{0,2}(?P<name>\w+)[ \t]*\((?P<kind>[^)\n]*)\)[ \t]*:(?P<text>[^\n]*)", re.MULTILINE),
    re.compile(r"^[ \t]*(?P<name>\w+)[ \t]*:[ \t]*(?P<kind>[^\n]*)\n(?P<text>[^\n]*)", re.MULTILINE),
    re.compile(r":param[ \t]+(?P<kind>\w+)[ \t]+(?P<name>\w+):(?P<text>[^\n]*)"),
    re.compile(r":type[ \t]+(?P<name>\w+):[ \t]*(?P<kind>[^\n]*)(?P<text>)"),
)


@dataclass(frozen=True)
class Documented:
    """What is said of one parameter: its type, and the words in quotes."""

    kind: type
    words: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def documented(file: str, qualname: str) -> dict[str, Documented]:
    """The types that docstrings give to the parameters of a class or function, by name."""
    files = index(file)
    found: dict[str, Documented] = {}
    for scope in files.scopes.get(qualname, [])[-1:] if files else ():
        for text in texts(scope):
            for form in FORMS:
                for match in form.finditer(text):
                    kind = kind_in(match["kind"])
                    if kind is not None:
                        words = re.findall(r"['\"`](\w[\w-]*)['\"`]", match["kind"] + match["text"])
                        found.setdefault(match["name"], Documented(kind, tuple(words)))
    return found


def texts(scope: Scope) -> list[str]:
    """The docstrings of a class and its constructor, or of a function."""
    nodes: list[ast.AST] = [scope.node]
    for one in family(scope) if isinstance(scope.node, ast.ClassDef) else ():
        nodes += [method.node for method in file_index(one).scopes.get(f"{one.qualname}.__init__", [])]
    known = (node for node in nodes if isinstance(node, ast.ClassDef | FunctionNode))
    return [text for node in known if (text := ast.get_docstring(node))]


def kind_in(text: str) -> type | None:
    """The first type that a text names."""
    words = re.findall(r"[A-Za-z]+", text)
    return next((KINDS[word.lower()] for word in words if word.lower() in KINDS), None)
