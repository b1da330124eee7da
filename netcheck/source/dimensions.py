"""What a function's own code calls the dimensions of an argument.

    b, t, c = x.shape              x: dimension 0 is called b
    batch_size = tokens.size(1)    tokens: dimension 1 is called batch_size

batch_dimension(forward, "x") -> 0
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from netcheck.source.syntax import syntax_of

BATCH_NAMES = frozenset((
    "b", "bs", "bsz", "bsize", "batch", "batches", "batch_size", "batchsize", "batch_len", "nbatch", "n_batch", "num_batch",
    "n_batches", "num_batches", "samples", "n_samples", "num_samples",
))  # fmt: skip


def batch_dimension(function: Callable[..., Any], argument: str) -> int | None:
    """The dimension of `argument` that the code of `function` calls the batch; None if it calls none so, or several."""
    named = {dimension for dimension, name in named_dimensions(function, argument) if name.lower().strip("_") in BATCH_NAMES}
    return named.pop() if len(named) == 1 else None


def named_dimensions(function: Callable[..., Any], argument: str) -> Iterator[tuple[int, str]]:
    """Each name that the code gives to the size of one dimension of `argument`: (dimension, name)."""
    tree = syntax_of(function)
    if tree is None:
        return
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                yield from pairs(target, statement.value, argument)


def pairs(target: ast.expr, value: ast.expr, argument: str) -> Iterator[tuple[int, str]]:
    """What an assignment says: one size for one name, or the whole shape for several."""
    if isinstance(target, ast.Tuple):
        if isinstance(value, ast.Tuple):
            for one, part in zip(target.elts, value.elts, strict=False):
                yield from pairs(one, part, argument)
        elif is_shape(value, argument):
            yield from ((i, each.id) for i, each in enumerate(target.elts) if isinstance(each, ast.Name))
    elif isinstance(target, ast.Name) and (dimension := dimension_of(value, argument)) is not None:
        yield dimension, target.id


def is_shape(value: ast.expr, argument: str) -> bool:
    """Whether an expression is `x.shape`, the beginning of it (`x.shape[:2]`), or `x.size()`."""
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice) and value.slice.lower is None:
        value = value.value
    if isinstance(value, ast.Call) and not value.args and not value.keywords:
        return is_attribute(value.func, argument, "size")
    return is_attribute(value, argument, "shape")


def dimension_of(value: ast.expr, argument: str) -> int | None:
    """Which dimension's size an expression is: `x.shape[0]`, `x.size(0)`, `len(x)`."""
    if isinstance(value, ast.Subscript) and is_attribute(value.value, argument, "shape"):
        return number(value.slice)
    if not isinstance(value, ast.Call) or len(value.args) != 1:
        return None
    if is_attribute(value.func, argument, "size"):
        return number(value.args[0])
    plain = isinstance(value.func, ast.Name) and value.func.id == "len"
    return 0 if plain and isinstance(value.args[0], ast.Name) and value.args[0].id == argument else None


def is_attribute(value: ast.expr, argument: str, name: str) -> bool:
    """Whether an expression is `argument.name`."""
    is_it = isinstance(value, ast.Attribute) and value.attr == name and isinstance(value.value, ast.Name)
    return is_it and value.value.id == argument  # type: ignore[attr-defined]


def number(value: ast.expr) -> int | None:
    """A literal whole number that is not negative: of `x.size(-1)` it cannot be told which dimension it is."""
    found = value.value if isinstance(value, ast.Constant) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
