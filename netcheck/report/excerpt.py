"""The lines of source at a place, with what matters underlined.

   |                                            |
12 |     self.fc = nn.Linear(100, 100)       12 | /     self.net = nn.Sequential(
   |               ^^^^^^^^^^^^^^^^^^^       13 | |         nn.Linear(100, 100),
   |                                         14 | |     )
                                                | |_____^
"""

from __future__ import annotations

import linecache
import os
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from netcheck.findings import Location
from netcheck.report.terminal import Painter, escape, width
from netcheck.source.parse import notebook_at

TAB = 4  # columns between tab stops
MOST_COLUMNS = 110  # of one source line: more is cut at both ends of the underlined part
MOST_LINES = 5  # of one span: of a longer one the first four and the last are shown


@dataclass(frozen=True, slots=True)
class Row:
    """One source line as printed. Columns count from 0 in what is printed, not in what the file holds."""

    number: int
    text: str
    start: int  # column of the first underlined character
    end: int  # column past the last one


def excerpt(place: Location, root: Path | None, paint: Painter, style: str) -> list[str]:
    """The lines at `place` with a gutter and an underline in `style`; empty if the source cannot be read."""
    rows = rows_at(place, root)
    if not rows:
        return []
    gutter = gutter_width(place, root)
    bar = f"{' ' * gutter} {paint('|', 'gutter')}"
    body = single(rows[0], gutter, paint, style) if place_is_one_line(place) else span(rows, gutter, paint, style)
    return [bar, *body, bar]


def gutter_width(place: Location, root: Path | None = None) -> int:
    """Columns that the line numbers at `place` take."""
    place, _ = shown_place(place, root)
    return len(str(max(place.line, place.end_line or 0)))


def place_is_one_line(place: Location) -> bool:
    """Whether `place` starts and ends on one line, or has no end."""
    return place.end_line is None or place.end_line <= place.line


def single(row: Row, gutter: int, paint: Painter, style: str) -> list[str]:
    """A place on one line: the line, and carets under it."""
    bar = paint("|", "gutter")
    carets = paint("^" * max(1, row.end - row.start), style)
    return [
        f"{paint(f'{row.number:>{gutter}}', 'gutter')} {bar} {row.text}".rstrip(),
        f"{' ' * gutter} {bar} {' ' * row.start}{carets}",
    ]


def span(rows: list[Row], gutter: int, paint: Painter, style: str) -> list[str]:
    """A place on several lines: a bracket at their left, from the first character to the last."""
    bar = paint("|", "gutter")
    first, *others = rows
    opens_the_line = not first.text[: first.start].strip()
    corner = paint("/", style) if opens_the_line else " "
    lines = [f"{paint(f'{first.number:>{gutter}}', 'gutter')} {bar} {corner} {first.text}".rstrip()]
    if not opens_the_line:
        lines.append(f"{' ' * gutter} {bar}  {paint('_' * (first.start + 1) + '^', style)}")
    previous = first.number
    for row in others:
        if row.number != previous + 1:
            lines.append(paint(f"{'...':<{gutter + 3}}", "gutter") + paint("|", style))
        lines.append(f"{paint(f'{row.number:>{gutter}}', 'gutter')} {bar} {paint('|', style)} {row.text}".rstrip())
        previous = row.number
    return [*lines, f"{' ' * gutter} {bar} {paint('|' + '_' * max(1, rows[-1].end) + '^', style)}"]


def rows_at(place: Location, root: Path | None) -> list[Row]:
    """The lines of `place`, long spans and long lines shortened; empty if there is no such file or line."""
    place, lines = shown_place(place, root)
    last = place.line if place_is_one_line(place) else place.end_line or place.line
    if not 1 <= place.line <= len(lines):
        return []
    numbers = list(range(place.line, min(last, len(lines)) + 1))
    if len(numbers) > MOST_LINES:
        numbers = [*numbers[: MOST_LINES - 1], numbers[-1]]
    rows = []
    for number in numbers:
        line = lines[number - 1].rstrip("\r\n")
        indent = len(line) - len(line.lstrip())
        start = place.column - 1 if number == place.line else indent
        end = place.end_column - 1 if number == last and place.end_column else len(line)
        if place_is_one_line(place) and place.end_column is None:
            # A place that is no more than a line means all of it; one with a column, a single character.
            start, end = (indent, len(line.rstrip())) if place.column <= 1 else (start, start + 1)
        rows.append(lay_out(number, line, start, end))
    return rows


def lay_out(number: int, line: str, start: int, end: int) -> Row:
    """`line` as printed, with the characters from `start` up to `end` (counted from 0) underlined."""
    start = min(max(start, 0), len(line))
    end = min(max(end, start), len(line))
    cells = printed(line)
    edges = [0, *accumulate(width(cell) for cell in cells)]
    if edges[-1] <= MOST_COLUMNS:
        return Row(number, "".join(cells), edges[start], edges[end])
    # Too long: keep the beginning if the underlined part is in it, else a third of the room before that part.
    left = 0 if edges[min(end, len(cells))] <= MOST_COLUMNS else max(0, edges[start] - MOST_COLUMNS // 3)
    shown = [i for i in range(len(cells)) if edges[i] >= left and edges[i + 1] <= left + MOST_COLUMNS]
    if not shown:
        return Row(number, "...", 0, 3)
    before = "..." if shown[0] else ""
    after = "..." if shown[-1] + 1 < len(cells) else ""
    shift = len(before) - edges[shown[0]]
    limit = edges[shown[-1] + 1] + shift
    text = before + "".join(cells[i] for i in shown) + after
    return Row(number, text, min(edges[start] + shift, limit), min(edges[end] + shift, limit))


def printed(line: str) -> list[str]:
    """What is printed for each character of `line`: spaces up to a stop for a tab, escapes for controls."""
    cells: list[str] = []
    column = 0
    for character in line:
        cell = " " * (TAB - column % TAB) if character == "\t" else escape(character)
        cells.append(cell)
        column += width(cell)
    return cells


def shown_place(place: Location, root: Path | None) -> tuple[Location, list[str]]:
    """A place and the lines that it counts from: of a notebook the place in a cell, and the cell's."""
    book = notebook_at(str(Path(place.file) if root is None else root / place.file))
    if book is None:
        return place, source_lines(place.file, root)
    here = book.lines.get(place.line)
    if here is None:
        return place, []
    before = place.line - here.number
    return replace(place, line=here.number, end_line=place.end_line and place.end_line - before), book.cell(place.line)


def source_lines(file: str, root: Path | None) -> list[str]:
    """The lines of a file, or of a cell that Python ran; empty if they cannot be read."""
    if file.startswith("<"):  # "<stdin>", "<ipython-input-3-...>": only linecache may know it
        return linecache.getlines(file)
    path = Path(file) if root is None else root / file
    if not os.path.isfile(path):  # unlike Path.is_file, says no to a name that no file can have
        return linecache.getlines(file) if file in linecache.cache else []
    linecache.checkcache(str(path))
    return linecache.getlines(str(path)) if os.path.getsize(path) else []  # of an empty file Python 3.13 has a line
