"""Edits put into the bytes of a file: Python in any encoding, with any line ends, and notebooks. Imports no torch.

    apart(edits)               one after the other, without those that reach into another
    applied(raw, path, edits)  the file's bytes afterwards; outside the edits they are what they were

A notebook's edits are those of its Python text. A cell's lines that are not edited keep their strings as the file writes them.
"""

from __future__ import annotations

import io
import json
import re
import tokenize
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from netcheck.figures.fixes import Edit
from netcheck.location import Location
from netcheck.source import notebook
from netcheck.source.parse import NOTEBOOK, Unreadable, parse_bytes
from netcheck.source.suppress import same_file

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")


class NotEditable(Exception):
    """A file does not take an edit. Its text says why, in words that follow the file's name."""


def apart(edits: Iterable[Edit]) -> list[Edit]:
    """Edits of one file in order, each once.

    Raises:
        NotEditable: two of them reach into each other.
    """
    ordered = sorted(set(edits))
    for one, other in pairwise(ordered):
        if overlap(one, other):
            raise NotEditable(f"would be edited twice at line {other.line}")
    return ordered


def overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits of a file reach into each other, or put text in at one place."""
    if one.file != other.file or one == other:
        return False
    first, second = sorted((one, other))
    start, end = (second.line, second.column), (first.end_line, first.end_column)
    return start < end or start == (first.line, first.column)


def applied(raw: bytes, path: str, edits: Sequence[Edit]) -> bytes:
    """A file after some edits of it.

    Args:
        raw: its bytes.
        path: its name, which tells whether it is a notebook.
        edits: of this file.

    Raises:
        NotEditable: edits overlap, or are in no code; or the result is no Python, or cannot be encoded as the file is.
    """
    ordered = apart(edits)
    if path.endswith(NOTEBOOK):
        return applied_to_notebook(raw, ordered)
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        changed = spliced(raw.decode(encoding), ordered).encode(encoding)
        parse_bytes(changed)
    except UnicodeEncodeError as error:
        raise NotEditable(f"is written in {error.encoding}, which lacks {error.object[error.start]!r}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise NotEditable("cannot be decoded") from error
    except Unreadable as error:
        raise NotEditable(f"would be no Python any more: it {error}") from error
    return changed


def spliced(text: str, edits: Sequence[Edit]) -> str:
    """A text with each of these ranges, which are in order and apart, replaced."""
    starts = line_starts(text)
    parts, position = list[str](), 0
    for edit in edits:
        start, end = offset(starts, edit.line, edit.column), offset(starts, edit.end_line, edit.end_column)
        parts += [text[position:start], edit.content]
        position = end
    return "".join([*parts, text[position:]])


def line_starts(text: str) -> list[int]:
    """Where each line of a text begins, as Python counts lines."""
    return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]


def offset(starts: Sequence[int], line: int, column: int) -> int:
    """Where a line and column are.

    Raises:
        NotEditable: there is no such line.
    """
    if not 1 <= line <= len(starts):
        raise NotEditable(f"has no line {line}")
    return starts[line - 1] + column - 1


def line_and_column(starts: Sequence[int], position: int) -> tuple[int, int]:
    """The line and column, from 1, of a place in a text whose lines start there."""
    line = bisect(starts, position)
    return line, position - starts[line - 1] + 1


def put_back(position: int, edits: Iterable[Edit], starts: Sequence[int]) -> int | None:
    """Where a place of an edited text was before; None where there was no such place.

    Args:
        position: in the text after the edits.
        edits: of the text before, apart from each other.
        starts: of the lines of that.
    """
    moved = 0
    for edit in apart(edits):
        start, end = offset(starts, edit.line, edit.column), offset(starts, edit.end_line, edit.end_column)
        if position <= start + moved:
            break
        if position < start + moved + len(edit.content):
            return None
        moved += len(edit.content) - (end - start)
    return position - moved


def applied_to_notebook(raw: bytes, edits: Sequence[Edit]) -> bytes:
    """A notebook after edits of its Python text; what is not code, and the cells that have no edit, stay as they are."""
    book = notebook.read(raw)
    encoding = json.detect_encoding(raw)
    text = book.content
    by_cell: dict[tuple[notebook.Span, ...], list[Edit]] = {}
    for edit in edits:
        by_cell.setdefault(cell_of(book, edit), []).append(edit)
    for spans in sorted(by_cell, reverse=True):  # from the end, so that earlier spans stay true
        first, last = spans[0][0] - 1, spans[-1][1] + 1
        text = text[:first] + cell_after(book, spans, by_cell[spans]) + text[last:]
    changed = text.encode(encoding, "surrogatepass")
    try:
        parse_bytes(notebook.to_python(changed).encode("utf-8", "surrogatepass"))
    except (notebook.NotANotebook, Unreadable) as error:
        raise NotEditable(f"would be no notebook of Python any more: {error}") from error
    return changed


def cell_of(book: notebook.Notebook, edit: Edit) -> tuple[notebook.Span, ...]:
    """The strings that hold the cell of an edit.

    Raises:
        NotEditable: it is in no cell, in several, or on a line that is no Python as it stands (a magic).
    """
    python = book.python.split("\n")
    lines = [book.lines.get(number) for number in range(edit.line, edit.end_line + 1)]
    found = [line for line in lines if line is not None]
    if not found or len(found) < len(lines) or len({line.cell for line in found}) > 1:
        raise NotEditable("would be edited outside of a cell")
    if any(line.text != python[number - 1] for number, line in enumerate(found, edit.line)):
        raise NotEditable("would be edited at a magic command")
    return found[0].spans


def cell_after(book: notebook.Notebook, spans: Sequence[notebook.Span], edits: Sequence[Edit]) -> str:
    """The strings of a cell after edits, with what stands between them: one a line where the file has it so."""
    raws = [book.content[start:end] for start, end in spans]
    old = [json.loads(f'"{one}"', strict=False) for one in raws]
    source = "".join(old)
    first = min(number for number, line in book.lines.items() if line.spans == tuple(spans))
    moved = [Edit(e.file, e.line - first + 1, e.column, e.end_line - first + 1, e.end_column, e.content) for e in edits]
    new = spliced(source, moved)
    if len(spans) == 1:
        return written(book, new)
    between = book.content[spans[0][1] + 1 : spans[1][0] - 1]
    kept = dict(zip(old, raws, strict=True))
    lines = [line for line in LINE.findall(new) if line]
    return between.join(f'"{kept[line]}"' if line in kept else written(book, line) for line in lines)


def written(book: notebook.Notebook, text: str) -> str:
    """A text as a string of JSON, in the file's own way with letters beyond ASCII."""
    return json.dumps(text, ensure_ascii=book.content.isascii())


def moved(place: Location, edits: Iterable[Edit]) -> Location:
    """Where a place that no edit touches stands after some edits, which are apart."""
    lines = columns = 0
    for edit in edits:
        if not same_file(edit.file, place.file) or (edit.end_line, edit.end_column) > (place.line, place.column):
            continue
        put_in = re.split(r"\r\n|\r|\n", edit.content)
        lines += len(put_in) - 1 - (edit.end_line - edit.line)
        if edit.end_line == place.line:
            start = edit.column if len(put_in) == 1 else 1
            columns += start + len(put_in[-1]) - edit.end_column
    end_line = place.end_line and place.end_line + lines
    on_line = place.end_line == place.line and place.end_column is not None
    end_column = place.end_column + columns if on_line and place.end_column is not None else place.end_column
    return replace(place, line=place.line + lines, column=place.column + columns, end_line=end_line, end_column=end_column)
