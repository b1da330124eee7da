"""A line of a file in words, of a notebook by its cell. Imports no torch.

spot("net.py", 12)          "line 12"
spot("study.ipynb", 131)    "cell 3, line 9"
"""

from __future__ import annotations

import os

from netcheck.source.markdown import file_of
from netcheck.source.notebook import Line
from netcheck.source.parse import notebook_at


def cell_line(file: str, line: int) -> Line | None:
    """The line of a notebook's cell that a line of its Python text is; None in other files, and between cells."""
    book = notebook_at(file)
    return None if book is None else book.lines.get(line)


def spot(file: str, line: int) -> str:
    """A line as a sentence about its file has it."""
    here = cell_line(file, line)
    return f"line {line}" if here is None else f"cell {here.cell}, line {here.number}"


def spot_in(file: str, line: int) -> str:
    """The same with the file's name: "net.py:12", "study.ipynb, cell 3, line 9"."""
    name, here = os.path.basename(file_of(file)), cell_line(file, line)
    return f"{name}:{line}" if here is None else f"{name}, {spot(file, line)}"
