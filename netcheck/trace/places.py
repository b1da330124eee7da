"""Where in the user's source something stands.

    called(code, instruction)       the expression in forward that made a node
    raised(error)                   the innermost line of user code in a traceback
    built(model, path, origin)      the call that built a submodule
"""

from __future__ import annotations

import inspect
import linecache
from functools import lru_cache
from types import CodeType
from typing import Any

from torch import nn

from netcheck.findings import Location
from netcheck.source.locate import Definition, Step, locate_child
from netcheck.trace.record import _is_users as is_users


def called(code: CodeType | None, instruction: int) -> Location | None:
    """The expression at an instruction of a function, as a place in its file."""
    # Python takes two functions for equal that differ in nothing but their file.
    return None if code is None else _called(code.co_filename, code, instruction)


@lru_cache(maxsize=4096)
def _called(file: str, code: CodeType, instruction: int) -> Location:
    positions = _positions(code)
    index = instruction // 2
    line, end_line, column, end_column = positions[index] if index < len(positions) else (None,) * 4
    line = line or code.co_firstlineno
    return Location(
        file=file,
        line=line,
        column=_characters(file, line, column) + 1,
        end_line=end_line,
        end_column=None if end_column is None else _characters(file, end_line or line, end_column) + 1,
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


def built(model: nn.Module, path: str, origin: Definition | None = None) -> Location | None:
    """The call that built the submodule `path` of `model`; None if no source tells.

    The class of the nearest ancestor that a user wrote is asked first, then those above it (which may have passed the
    submodule in), at last `origin`: the function or variable that the model itself came from.
    """
    names = path.split(".") if path else []
    modules = [model]
    for name in names:
        child = modules[-1]._modules.get(name)
        if child is None:  # an unregistered module: its place is not in the tree
            return None
        modules.append(child)
    steps = [_step(parent, child, name) for parent, child, name in zip(modules, modules[1:], names, strict=False)]
    for depth in range(len(names) - 1, -1, -1):
        sources = definitions(type(modules[depth]))
        if sources and (place := locate_child(sources, steps[depth:], type(modules[-1]).__name__)):
            return place
    if origin is not None and steps:
        return locate_child([origin], steps, type(modules[-1]).__name__)
    return None


def _step(parent: nn.Module, child: nn.Module, name: str) -> Step:
    siblings = tuple((key, type(m).__name__) for key, m in parent._modules.items() if m is not None)
    return Step(name, type(child).__name__, siblings)


@lru_cache(maxsize=1024)
def definitions(cls: type) -> tuple[Definition, ...]:
    """The classes of an MRO that users wrote, nearest first."""
    found = []
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in ("torch", "builtins"):
            continue
        try:
            file = inspect.getsourcefile(base)
        except TypeError:  # defined where there is no file
            file = None
        if file is not None:
            found.append(Definition(file, base.__qualname__))
    return tuple(found)
