"""Plain data that an expression of a training file is, or leads to. Imports no torch."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import Any

from netcheck.source.construction.evaluate import Evaluator
from netcheck.source.construction.evaluation import Frame
from netcheck.source.construction.project import project_of
from netcheck.source.construction.values import is_plain
from netcheck.source.training.values import Value, settled


class NotConstant(Exception):
    """What something is made from cannot be read off."""


def constant(value: Value) -> Any:
    """The plain data that an expression is, or leads to.

    Raises:
        NotConstant: it is none.
    """
    value = settled(value)
    if value.node is None or value.scope is None:
        raise NotConstant
    with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(value.node)
    found = Evaluator(project_of(value.scope.file.path)).value(value.node, Frame(value.scope))
    if not is_plain(found):
        raise NotConstant
    return found
