"""Where in the user's source something stands.

called(code, instruction)       the expression in forward that made a node
parameter(model, name)          the parameter in the signature of forward that an input is
raised(error)                   the innermost line of user code in a traceback
origin_of(model)                the factory or variable that a model came from
built_outside(model, path)      the line that built a module or tensor that is not registered
"""

from __future__ import annotations

import inspect
import linecache
import re
import sys
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from torch import nn

from netcheck.findings import Location
from netcheck.source.locate import Definition, Step, locate_child, locate_parameter
from netcheck.source.places import class_definitions
from netcheck.torch_versions import forward_of
from netcheck.trace.frames import is_users

_NAME = re.compile(r"""\['([^']*)'\]|\["([^"]*)"\]|\[([^]]*)\]|([^.\[\]]+)""")  # of a path: blocks.0.layers[1], heads['a']


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


def parameter(model: nn.Module, name: str) -> Location | None:
    """Where the user's forward names an argument; None if forward is not the user's."""
    code = getattr(inspect.unwrap(forward_of(type(model))), "__code__", None)
    if code is None or not is_users(code):
        return None
    return locate_parameter(Definition(code.co_filename, code.co_qualname, code.co_firstlineno), name)


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


def built_outside(model: nn.Module, path: str, origin: Definition | None = None) -> Location | None:
    """The expression that built a member which PyTorch does not know of (`blocks.0.layers[1]`, `heads['a']`).

    The classes that users wrote are asked from the nearest ancestor up; at last `origin`, the function or variable that
    the model itself came from. The places of registered modules are those of `source.places.built_at`.
    """
    names = [next(filter(None, match.groups())) for match in _NAME.finditer(path)]
    modules = [model]
    for name in names:
        child = modules[-1]._modules.get(name)
        if child is None:
            break
        modules.append(child)
    steps = [Step(name) for name in names]
    for depth in range(len(modules) - 1, -1, -1):
        sources = class_definitions(type(modules[depth]))
        if sources and depth < len(steps) and (place := locate_child(sources, steps[depth:])):
            return place
    return locate_child([origin], steps) if origin is not None and steps else None


def _inside(function: str, name: str) -> str:
    """The qualified name of a variable of a function; of a module, the bare name."""
    return name if function in ("", "<module>") else f"{function}.<locals>.{name}"
