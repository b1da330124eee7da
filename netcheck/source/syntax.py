"""The code of what runs, as a syntax tree. Imports no torch."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any


def syntax_of(value: Any) -> ast.Module | None:
    """The syntax tree of a class or function by itself; None where its source is in no file, or does not stand by itself."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
