"""Where in the user's source something stands.

    called(code, instruction)       the expression in forward that made a node
    raised(error)                   the innermost line of user code in a traceback
    origin_of(model)                the factory or variable that a model came from
"""

from __future__ import annotations

import inspect
import linecache
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from netcheck.findings import Location
from netcheck.source.locate import Definition
from netcheck.trace.record import _is_users as is_users


@lru_cache(maxsize=4096)
def called(code: CodeType | None, instruction: int) -> Location | None:
    """The expression at an instruction of a function, as a place in its file."""
    if code is None:
        return None
    positions = _positions(code)
    index = instruction // 2
    line, end_line, column, end_column = positions[index] if index < len(positions) else (None,) * 4
    line = line or code.co_firstlineno
    return Location(
        file=code.co_filename,
        line=line,
        column=_characters(code.co_filename, line, column) + 1,
        end_line=end_line,
        end_column=None if end_column is None else _characters(code.co_filename, end_line or line, end_column) + 1,
        function=code.co_qualname,
    )


@lru_cache(maxsize=512)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    return list(code.co_positions())


def _characters(file: str, line: int, column: int | None) -> int:
    """Python counts columns in UTF-8 bytes; people count characters."""
    if not column:
        return 0
    text = linecache.getline(file, line)
    return column if text.isascii() else len(text.encode()[:column].decode(errors="ignore"))


def raised(error: BaseException) -> Location | None:
    """The innermost line of user code in an exception's traceback."""
    frames: list[Any] = []
    entry = error.__traceback__
    while entry is not None:
        if is_users(entry.tb_frame.f_code):
            frames.append((entry.tb_frame.f_code, entry.tb_lasti))
        entry = entry.tb_next
    return called(*frames[-1]) if frames else None


def origin_of(model: object) -> Definition | None:
    """Where a model comes from whose own class does not tell: the factory given, or the caller's variable that holds it."""
    if inspect.isfunction(model):
        code = inspect.unwrap(model).__code__
        return Definition(code.co_filename, code.co_qualname, code.co_firstlineno)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    if frame is None:
        return None
    for variables in (frame.f_locals, frame.f_globals):
        for name, value in variables.items():
            if value is model:
                outer = "" if variables is frame.f_globals else frame.f_code.co_qualname
                return Definition(frame.f_code.co_filename, _inside(outer, name), frame.f_lineno)
    return None


def _inside(function: str, name: str) -> str:
    """The qualified name of a variable of a function; of a module, the bare name."""
    return name if function in ("", "<module>") else f"{function}.<locals>.{name}"
