"""Source lines with the values that their names had: the statement that raised, harmless expressions.

    x.shape[-2:]     the tensor x and its axes [2, 3]
    len(x.shape)     the rank of x
    self.size // 2   a number

Whatever might have side effects (a call that is not one of SAFE_CALLS) is UNKNOWN.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any

from torch import Tensor

# fmt: off
SAFE_CALLS = frozenset((
    "len", "int", "float", "tuple", "list", "min", "max", "abs", "size", "dim", "numel", "ndimension",
    "isinstance", "type", "sqrt", "prod", "Size",
))
# fmt: on
UNKNOWN: Any = object()


def frames_of(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """Every frame of a traceback with its line, outermost first."""
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


@lru_cache(maxsize=64)
def tree_of(filename: str) -> ast.Module | None:
    """The syntax tree of a source file."""
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return None


@lru_cache(maxsize=512)
def statement_at(filename: str, line: int) -> tuple[ast.stmt | None, tuple[tuple[ast.If, bool], ...]]:
    """The innermost statement on a line, and the `if`s around it, innermost first: is it in their body?"""
    tree = tree_of(filename)
    enclosing: list[tuple[ast.If, bool]] = []
    node: Any = tree
    while node is not None:
        branches = [
            (child, field == "body")
            for field in ("body", "orelse", "finalbody", "handlers")
            for child in getattr(node, field, None) or []
            if isinstance(child, (ast.stmt, ast.ExceptHandler)) and child.lineno <= line <= (child.end_lineno or child.lineno)
        ]
        if not branches:
            break
        if isinstance(node, ast.If):
            enclosing.append((node, branches[0][1]))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            enclosing = []
        node = branches[0][0]
    return (node if isinstance(node, ast.stmt) else None), tuple(reversed(enclosing))


def names_unpacked(filename: str, line: int) -> tuple[str, ...]:
    """The names that `a, (b, c), d = batch` on a line gives to its parts: "" for one that is taken apart further."""
    statement, _ = statement_at(filename, line)
    targets = statement.targets if isinstance(statement, ast.Assign) else ()
    parts = next((target.elts for target in targets if isinstance(target, (ast.Tuple, ast.List))), [])
    return tuple(part.id if isinstance(part, ast.Name) else getattr(part, "attr", "") for part in parts)


class Scope:
    """The names of one frame."""

    def __init__(self, frame: FrameType) -> None:
        self.frame = frame

    def ranked(self, expression: ast.expr) -> Tensor | None:
        """The tensor whose rank an expression is: x.ndim, x.dim(), len(x.shape)."""
        owner: Any = None
        if isinstance(expression, ast.Attribute) and expression.attr == "ndim":
            owner = expression.value
        elif (
            isinstance(expression, ast.Call)
            and isinstance(expression.func, ast.Attribute)
            and expression.func.attr in ("dim", "ndimension")
        ):
            owner = expression.func.value
        elif (
            isinstance(expression, ast.Call)
            and isinstance(expression.func, ast.Name)
            and expression.func.id == "len"
            and expression.args
        ):
            tensor, axes = self.axes(expression.args[0])
            return tensor if tensor is not None and len(axes) == tensor.dim() else None
        found = self.value(owner) if owner is not None else None
        return found if isinstance(found, Tensor) else None

    def axes(self, expression: ast.expr) -> tuple[Tensor | None, list[int]]:
        """The tensor and axes whose sizes an expression is: x.shape, x.size(1), x.shape[-2:]."""
        if isinstance(expression, ast.Subscript):
            tensor, axes = self.axes(expression.value)
            index = self.subscript(expression.slice)
            try:
                picked = axes[index] if tensor is not None else []
            except (IndexError, TypeError):
                return None, []
            return tensor, picked if isinstance(picked, list) else [picked]
        owner: Any = None
        if isinstance(expression, ast.Attribute) and expression.attr == "shape":
            owner = self.value(expression.value)
        elif isinstance(expression, ast.Call) and isinstance(expression.func, ast.Attribute) and expression.func.attr == "size":
            owner = self.value(expression.func.value)
            if isinstance(owner, Tensor) and expression.args:
                axis = self.value(expression.args[0])
                return (owner, [axis % owner.dim()]) if isinstance(axis, int) and owner.dim() else (None, [])
        elif (
            isinstance(expression, ast.Call)
            and isinstance(expression.func, ast.Name)
            and expression.func.id == "len"
            and expression.args
        ):
            owner = self.value(expression.args[0])
            return (owner, [0]) if isinstance(owner, Tensor) and owner.dim() else (None, [])
        return (owner, list(range(owner.dim()))) if isinstance(owner, Tensor) else (None, [])

    def subscript(self, index: ast.expr) -> Any:
        """A constant index or slice."""
        if isinstance(index, ast.Slice):
            ends = [self.value(end) if end is not None else None for end in (index.lower, index.upper, index.step)]
            return slice(*ends)
        return self.value(index)

    def value(self, expression: ast.expr) -> Any:
        """The value of an expression that can be evaluated without side effects; UNKNOWN for any other."""
        for node in ast.walk(expression):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name not in SAFE_CALLS:
                    return UNKNOWN
            elif isinstance(
                node,
                (ast.Await, ast.Yield, ast.NamedExpr, ast.Lambda, ast.ListComp, ast.JoinedStr, ast.DictComp),
            ):
                return UNKNOWN
        try:
            code = compile(ast.fix_missing_locations(ast.Expression(expression)), "<check>", "eval")
            return eval(code, self.frame.f_globals, dict(self.frame.f_locals))
        except Exception:  # a name that is not bound yet, an attribute that raises
            return UNKNOWN
