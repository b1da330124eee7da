r"""Jupyter notebooks as Python text. Imports no torch.

A notebook is JSON that holds one line of code on one line of the file:

     12    "source": [
     13     "%matplotlib inline\n",            13: pass
     14     "model = nn.Linear(2, 3)\n"        14: model = nn.Linear(2, 3)

so the Python text puts every line of code on the line where the file has it, with empty lines between: a
traceback and a syntax error then name the line that an editor of text shows. Where the JSON is laid out otherwise
(all on one line), the cells follow each other from line 1. People are told the cell and the line in it.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

CELL_MAGICS_OVER_PYTHON = (
    "%%time",
    "%%timeit",
    "%%capture",
    "%%prun",
    "%%debug",
)  # others hold another language
TIMED = re.compile(r"^(\s*)%time\s+(?=\S)")  # what follows runs in the notebook's namespace
MAGIC = re.compile(r"^(\s*)(?:[%!]|\?+\w)|^(\s*)[\w.]+\?+\s*$")
SHELL = re.compile(
    r"\s*(?:(?:cat|cd|conda|cp|ls|man|mkdir|more|mv|pip|rm|rmdir)\s+\S|(?:ls|pwd)\s*$)"
)  # magics without their sign
ASSIGNED_MAGIC = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
CHARACTER = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|.", re.DOTALL)  # of a string of JSON
Span = tuple[int, int]  # of a string in the file, without its quotes


class NotANotebook(ValueError):
    """The bytes are not a notebook that holds Python. Its text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of code.

    Attributes:
        cell: the number of its cell, from 1, of all cells.
        number: of the line in the cell, from 1.
        text: as the cell has it.
        start: the number of characters before it in the cell.
        spans: the strings of the file that hold the cell.
    """

    cell: int
    number: int
    text: str
    start: int
    spans: tuple[Span, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Notebook:
    """A notebook.

    Attributes:
        content: the file's text.
        python: its code as Python.
        lines: lines of code, by the line of the Python text.
    """

    content: str = field(repr=False)
    python: str = field(repr=False)
    lines: dict[int, Line] = field(repr=False)

    def cell(self, line: int) -> list[str]:
        """The lines of the cell that has a line of the Python text; none if none has."""
        here = self.lines.get(line)
        if here is None:
            return []
        first = line - here.number + 1
        return [one.text for n in range(first, first + len(self.lines)) if (one := self.lines.get(n)) and one.cell == here.cell]

    def offset(self, line: int, column: int) -> int | None:
        """Where a character of the code stands in the file's text; for the end of a line, where more of it would stand.

        Args:
            line: of the Python text.
            column: counted from 0.
        """
        here = self.lines.get(line)
        if here is None:
            return None
        offsets = [start for span in here.spans for start in character_starts(self.content, span)]
        return [*offsets, here.spans[-1][1]][here.start + min(column, len(here.text))]

    def in_file(self, line: int, column: int) -> tuple[int, int] | None:
        """The line and column of the file, both from 1, for a line of the Python text and a column from 1."""
        offset = self.offset(line, column - 1)
        if offset is None:
            return None
        number = bisect(self.breaks, offset)
        return number + 1, offset - (self.breaks[number - 1] if number else 0) + 1

    @cached_property
    def breaks(self) -> list[int]:
        """Where the lines of the file begin, but for the first."""
        return line_breaks(self.content)


def line_breaks(text: str) -> list[int]:
    """Where the lines of a text begin, but for the first."""
    return [match.end() for match in re.finditer("\n", text)]


def to_python(raw: bytes) -> str:
    """The code cells of a notebook as one Python text, each line where the file has it.

    Raises:
        NotANotebook: the bytes are not the JSON of a notebook, or its language is not Python.
    """
    return read(raw).python


def read(raw: bytes) -> Notebook:
    """A notebook from the bytes of its file.

    Raises:
        NotANotebook: the bytes are not the JSON of a notebook, or its language is not Python.
    """
    try:
        content = json.loads(raw)
        cells = content.get("cells") or [cell for sheet in content.get("worksheets", []) for cell in sheet["cells"]]
        language = content.get("metadata", {}).get("kernelspec", {}).get("language", "python")
        kinds = [(cell.get("cell_type"), "source" if "source" in cell else "input") for cell in cells]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise NotANotebook(f"{type(error).__name__}: {error}") from error
    if language.lower() not in ("python", "ipython"):
        raise NotANotebook(f"its language is {language}")
    text = raw.decode(json.detect_encoding(raw), "surrogatepass")
    spans = source_spans(text)
    code = [
        code_lines(text, number, tuple(spans.get((number - 1, key), ())))
        for number, (kind, key) in enumerate(kinds, 1)
        if kind == "code"
    ]
    return lay_out(text, [lines for lines in code if lines])


def source_spans(text: str) -> dict[tuple[int, str], list[Span]]:
    """The strings that hold the source of each cell, by the cell's number from 0 and the key that has them."""
    found: dict[tuple[int, str], list[Span]] = {}
    path: list[str | int | None] = []
    cell = -1
    for match in TOKEN.finditer(text):
        sign = text[match.start()]
        if sign in "{[":
            path.append(0 if sign == "[" else None)
            cell += sign == "{" and is_cell(path[:-1])
        elif sign in "}]":
            path.pop()
        elif sign == "," and path:
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
        elif sign == '"' and path and path[-1] is None:
            path[-1] = match[0][1:-1]
        elif sign == '"' and (key := key_of(path)):
            found.setdefault((cell, key), []).append((match.start() + 1, match.end() - 1))
    return found


def is_cell(path: Sequence[str | int | None]) -> bool:
    """Whether a cell stands there: cells, number; or worksheets, number, cells, number."""
    return len(path) in (2, 4) and path[-2] == "cells" and (len(path) == 2 or path[0] == "worksheets")


def key_of(path: Sequence[str | int | None]) -> str:
    """The key of a cell whose string stands there, alone or in a list: "source" or "input"; "" for all others."""
    inner = path[:-1] if path and isinstance(path[-1], int) else path
    key = inner[-1] if inner else None
    return key if isinstance(key, str) and key in ("source", "input") and is_cell(inner[:-1]) else ""


def character_starts(text: str, span: Span) -> Iterator[int]:
    """Where each character of a string of JSON begins."""
    return (match.start() for match in CHARACTER.finditer(text, *span))


def code_lines(text: str, cell: int, spans: tuple[Span, ...]) -> list[Line]:
    """The lines of a cell."""
    source = "".join(json.loads(f'"{text[start:end]}"', strict=False) for start, end in spans)
    lines: list[Line] = []
    start = 0
    for number, line in enumerate(source.removesuffix("\n").split("\n") if source else [], 1):
        lines.append(Line(cell, number, line.removesuffix("\r"), start, spans))
        start += len(line) + 1
    return lines


def lay_out(content: str, cells: Sequence[list[Line]]) -> Notebook:
    """The code as one text, each line at its place in the file if each has one of its own, else one after the other."""
    breaks = line_breaks(content)
    places = [[bisect(breaks, span[0]) + 1 for span in lines[0].spans[: len(lines)]] for lines in cells]
    flat = [place for one in places for place in one]
    own = all(len(one) == len(lines) and one[-1] - one[0] == len(one) - 1 for one, lines in zip(places, cells, strict=True))
    own = own and all(before < after for before, after in pairwise(flat))
    text: list[str] = []
    by_line: dict[int, Line] = {}
    for lines, place in zip(cells, places, strict=True):
        if own:
            text += [""] * (place[0] - 1 - len(text))
        by_line |= {len(text) + line.number: line for line in lines}
        text += without_magics([line.text.replace("\r", " ") for line in lines])
    return Notebook(content, "\n".join(text) + "\n", by_line)


def is_python(text: str) -> bool:
    """Whether the text parses: then a line that begins with `%` is the rest of an expression, no magic."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def without_magics(lines: list[str]) -> list[str]:
    """The same number of lines with everything that only IPython understands made harmless."""
    if is_python("\n".join(lines)) and not (len(lines) == 1 and is_shell(lines[0])):
        return lines
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in CELL_MAGICS_OVER_PYTHON:
        return [""] * len(lines)
    kept: list[str] = []
    continued = False  # whether the line above is a magic that ends with a backslash
    for line in lines:
        if continued:
            kept.append("")
        elif is_timed(line):
            kept.append(TIMED.sub(r"\1", line))
        elif MAGIC.match(line) or is_shell(line):
            kept.append(line[: len(line) - len(line.lstrip())] + "pass")
        else:
            kept.append(ASSIGNED_MAGIC.sub(r"\1None", line))
        continued = line.rstrip().endswith("\\") and (continued or kept[-1].strip() == "pass")
    return kept


def is_shell(line: str) -> bool:
    """Whether IPython takes a line for a magic without its sign: `cd drive/data`, `ls`."""
    return SHELL.match(line) is not None and (len(line.split()) == 1 or not is_python(line.strip()))


def is_timed(line: str) -> bool:
    """Whether a line runs a statement of Python and tells how long that took: `%time model = Net()`."""
    return TIMED.match(line) is not None and is_python(TIMED.sub("", line))
