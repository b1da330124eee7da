"""What operators, displays and targets do to values. Imports no torch."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from netcheck.source.construction.values import Record, Unknown, is_plain

MOST_ITEMS = 512
LARGEST = 10**12

OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitOr: operator.or_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}


def plain_only(function: Callable[..., Any], *operands: Any) -> Any:
    """A function of values, if all are plain data."""
    if not all(map(is_plain, operands)):
        lists = [one for one in operands if isinstance(one, list | tuple)]
        is_joined = function in (operator.add, operator.mul) and len(lists) + sum(type(one) is int for one in operands) == 2
        if not (lists and is_joined):
            return next((one for one in operands if isinstance(one, Unknown)), Unknown())
    if function is operator.pow and any(isinstance(one, int) and abs(one) > 10**6 for one in operands):
        return Unknown()
    repeats = function is operator.mul and any(isinstance(one, str | list | tuple) for one in operands)
    if repeats and any(isinstance(one, int) and one > MOST_ITEMS for one in operands):
        return Unknown()
    return function(*operands)


def sized(value: Any) -> Any:
    """A value, unless it is a number that nothing can have."""
    return Unknown() if isinstance(value, int) and abs(value) > LARGEST else value


def items(value: Any) -> list[Any]:
    """The items of a value.

    Raises:
        ValueError: they are unknown.
    """
    if isinstance(value, list | tuple | set | range | dict | str):
        return list(value)[:MOST_ITEMS]
    raise ValueError("unknown items")


def fields_of(value: Any) -> dict[Any, Any]:
    """What can be unpacked by name.

    Raises:
        ValueError: that is unknown.
    """
    if isinstance(value, Record):
        return value.fields
    if isinstance(value, dict):
        return value
    raise ValueError("unknown names")


def taken_apart(target: ast.expr, value: Any) -> dict[str, Any]:
    """The names that a target gives to the parts of a value."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple | ast.List):
        pairs = zip(target.elts, items(value), strict=True)
        return {name: part for one, its in pairs for name, part in taken_apart(one, its).items()}
    return {}
