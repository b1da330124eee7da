"""Writes the comments that suppress findings into the source: `--add-ignores`. Imports no torch.

    self.act = nn.Tanh()              ->  self.act = nn.Tanh()  # netcheck: ignore[NC101]
    x = f(x)  # type: ignore          ->  x = f(x)  # type: ignore  # netcheck: ignore[NC101]
    y = g(x)  # netcheck: ignore[NC1] ->  y = g(x)  # netcheck: ignore[NC1, NC501]

In a notebook they go into the strings of its JSON that hold the code. Nothing but comments is ever changed: a line that cannot
take one (it goes on after a backslash, or in a text of several lines) is left alone, which comparing the syntax trees before and
after proves.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
from collections.abc import Iterable, Iterator

from netcheck.atomic import replace_file
from netcheck.findings import Finding, Location
from netcheck.source import notebook
from netcheck.source.notebook import NotANotebook
from netcheck.source.parse import NOTEBOOK, Unreadable, limit_of, parse_bytes, read
from netcheck.source.spots import cell_line
from netcheck.source.suppress import MARK

LINE_END = re.compile(rb"[ \t\f]*(\r\n|\r|\n)?$")


NO_PLACE = "cannot have a comment there"

Left = list[tuple[Finding, str]]  # what has no comment, and why


def add_comments(findings: Iterable[Finding]) -> tuple[list[Finding], Left]:
    """Write a comment for each finding at the place that it shows first.

    Returns:
        The findings that have one now, and those that cannot have one, each with the rest of a sentence that says why: they
        have no place, or that is in a file that cannot be written, or on a line that takes no comment.
    """
    by_file: dict[str, list[Finding]] = {}
    done: list[Finding] = []
    left: Left = []
    for found in findings:
        place = found.location
        if place is None or not takes_comments(place):
            left.append((found, NO_PLACE))
        else:
            by_file.setdefault(os.path.realpath(place.file), []).append(found)
    for file, group in by_file.items():
        add = with_comment_in_cell if file.endswith(NOTEBOOK) else with_comment
        try:
            raw = before = read(file, limit_of(file))
            placed: list[Finding] = []
            for found in group:
                assert found.location is not None
                changed = next(add(raw, found.location, found.code), None)
                if changed is None:
                    left.append((found, NO_PLACE))
                else:
                    placed.append(found)
                    raw = changed
            if raw != before:
                replace_file(file, raw)
        except (Unreadable, NotANotebook):
            left += [(found, NO_PLACE) for found in group]
        except OSError as error:
            why = f"has no comment: the file cannot be written: {error.strerror or error}"
            left = [(found, reason) for found, reason in left if found not in group]
            left += [(found, why) for found in group]
        else:
            done += placed
    return done, left


def takes_comments(place: Location) -> bool:
    """Whether a place is in a file of Python, or in a cell of a notebook."""
    return os.path.isfile(place.file) and (place.file.endswith(".py") or cell_line(place.file, place.line) is not None)


def with_comment_in_cell(raw: bytes, place: Location, code: str) -> Iterator[bytes]:
    """`with_comment` for a notebook: what it adds to the code is added to the file's text, and nothing else changes."""
    book = notebook.read(raw)
    encoding = json.detect_encoding(raw)
    before = book.python.split("\n")
    for changed in with_comment(book.python.encode("utf-8", "surrogatepass"), place, code):
        after = changed.decode("utf-8", "surrogatepass").split("\n")
        line = next(number for number, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new)
        old, new = before[line - 1], after[line - 1]
        start = alike(old, new)
        end = len(old) - alike(old[start:][::-1], new[start:][::-1])
        first, last = book.offset(line, start), book.offset(line, end)
        if first is None or last is None or book.lines[line].text != old:
            continue  # a magic
        added = json.dumps(new[start : len(new) - (len(old) - end)])[1:-1]
        yield f"{book.content[:first]}{added}{book.content[last:]}".encode(encoding, "surrogatepass")


def alike(one: str, other: str) -> int:
    """With how many characters two texts begin alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def with_comment(raw: bytes, place: Location, code: str) -> Iterator[bytes]:
    """The source with a comment at the first, or else the last line of a place, where that changes no code.

    Raises:
        Unreadable: it is no Python.
    """
    tree = ast.dump(parse_bytes(raw))
    for line in dict.fromkeys((place.line, place.end_line or place.line)):
        lines = raw.splitlines(keepends=True)  # of bytes: at \n, \r and \r\n alone, as Python's own lines end
        if not 0 < line <= len(lines):
            continue
        lines[line - 1] = commented(lines[line - 1], code)
        changed = b"".join(lines)
        try:
            if ast.dump(parse_bytes(changed)) == tree and is_comment(changed, line):
                yield changed
        except Unreadable:
            continue


def commented(line: bytes, code: str) -> bytes:
    """A line of source with a comment for a rule at its end, or with the rule in the comment that is there."""
    end = LINE_END.search(line)
    assert end is not None
    text, newline = line[: end.start()], end[1] or b""
    marks = list(re.finditer(MARK.pattern.encode(), text, re.IGNORECASE))
    if marks and marks[-1]["selectors"] is not None:
        mark = marks[-1]
        listed = [one.strip() for one in mark["selectors"].split(b",") if one.strip()]
        listed += [code.encode()] if code.encode() not in listed else []
        start, stop = mark.span("selectors")
        return text[:start] + b", ".join(listed) + text[stop:] + newline
    return text + f"  # netcheck: ignore[{code}]".encode() + newline


def is_comment(raw: bytes, line: int) -> bool:
    """Whether a line ends in a comment that suppresses something, rather than in text that looks like one."""
    try:
        return any(
            token.type == tokenize.COMMENT and token.start[0] == line and MARK.search(token.string)
            for token in tokenize.tokenize(io.BytesIO(raw).readline)
        )
    except (tokenize.TokenError, SyntaxError):
        return False
