"""The lines around a place, each cut into what stands before, in and behind the marked part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netcheck.findings import Location
from netcheck.report.excerpt import MOST_LINES, printed, shown_place

CONTEXT = 2  # lines shown before and after
LONGEST = 300  # characters of one line


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line: its number, and its text in three parts of which the middle one is marked."""

    number: int
    before: str
    marked: str
    after: str


def lines_at(place: Location, root: Path) -> list[SourceLine]:
    """The lines at `place` with some around them; empty if the source cannot be read.

    Args:
        place: of a long one the first lines are shown.
        root: the directory that relative paths start from.
    """
    place, found = shown_place(place, root)
    lines = [line.rstrip("\r\n") for line in found]
    if not 1 <= place.line <= len(lines):
        return []
    last = max(place.line, min(place.end_line or place.line, len(lines)))
    shown = min(last, place.line + MOST_LINES - 1)
    numbers = range(max(1, place.line - CONTEXT), min(len(lines), shown + CONTEXT * (shown == last)) + 1)
    return [cut(number, lines[number - 1], place, last) for number in numbers]


def cut(number: int, line: str, place: Location, last: int) -> SourceLine:
    """A line with the part of it that belongs to `place`, which ends on line `last`."""
    cells = printed(line)
    indent = len(line) - len(line.lstrip())
    if not place.line <= number <= last:
        start = end = len(line)
    elif place.line == last and place.end_column is None:
        start, end = indent, len(line.rstrip())
    else:
        start = place.column - 1 if number == place.line else indent
        end = place.end_column - 1 if number == last and place.end_column else len(line)
    start = min(max(start, 0), len(line))
    end = min(max(end, start), len(line))
    parts = ("".join(cells[:start]), "".join(cells[start:end]), "".join(cells[end:]))
    before, marked, after = (part if len(part) <= LONGEST else part[:LONGEST] + "..." for part in parts)
    return SourceLine(number, before, marked, after)
