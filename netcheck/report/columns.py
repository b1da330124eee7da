"""Tables of plain text, aligned by what a person sees of each cell.

in_columns([("fc1", 640), ("fc2", 10)], ("module", "parameters"), right=("parameters",))

module      parameters
--------  ------------
fc1                640
fc2                 10
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

_COLOUR = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")  # colours, and links
_BESIDE = 2  # columns between two cells, and at least that many that a column is wider than its header


def in_columns(rows: Sequence[Sequence[Any]], headers: Sequence[str], right: Collection[str] = ()) -> str:
    """A table with a line under its headers; no line ends in blanks.

    Args:
        rows: a cell for each header, written as `str` does.
        headers: of the columns.
        right: those of the columns that end at the right.
    """
    cells = [[str(cell).strip(" \t\r\n") for cell in row] for row in rows]  # a no-break space in front is an indent
    widths = [max([len(header) + _BESIDE, *(seen(row[place]) for row in cells)]) for place, header in enumerate(headers)]
    lines = [headers, ["-" * width for width in widths], *cells]
    return "\n".join(aligned(line, widths, [header in right for header in headers]) for line in lines)


def aligned(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """One line of a table."""
    parts = []
    for cell, width, ends_right in zip(cells, widths, right, strict=True):
        blanks = " " * (width - seen(cell))
        parts.append(blanks + cell if ends_right else cell + blanks)
    return (" " * _BESIDE).join(parts).rstrip()


def seen(cell: str) -> int:
    """How many characters of a cell are seen."""
    return len(_COLOUR.sub("", cell))
