"""Where in the user's source something stands: the line in forward that made a node, the line that built a module."""

from __future__ import annotations

import linecache
from functools import lru_cache
from types import CodeType
from typing import Any

from netcheck.findings import Location
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
