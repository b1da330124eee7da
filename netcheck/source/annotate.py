"""Writes the comments that suppress findings into the source: `--add-ignores`. Imports no torch.

    self.act = nn.Tanh()              ->  self.act = nn.Tanh()  # netcheck: ignore[NC101]
    x = f(x)  # type: ignore          ->  x = f(x)  # type: ignore  # netcheck: ignore[NC101]
    y = g(x)  # netcheck: ignore[NC1] ->  y = g(x)  # netcheck: ignore[NC1, NC501]

Nothing but comments is ever changed: a line that cannot take one (it goes on after a backslash, or in a text of several
lines) is left alone, which comparing the syntax trees before and after proves.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterable, Iterator

from netcheck.atomic import replace_file
from netcheck.findings import Finding, Location
from netcheck.source.parse import Unreadable, parse_bytes, read
from netcheck.source.suppress import MARK

LINE_END = re.compile(rb"[ \t\f]*(\r\n|\r|\n)?$")


NO_PLACE = "cannot have a comment there"

Left = list[tuple[Finding, str]]  # what has no comment, and why


def add_comments(findings: Iterable[Finding]) -> tuple[list[Finding], Left]:
    """Write a comment for each finding at the place that it shows first.

    Returns:
        The findings that have one now, and those that cannot have one, each with the rest of a sentence that says why: they
        have no place, or that is in a notebook, in a file that cannot be written, or on a line that takes no comment.
    """
    by_file: dict[str, list[Finding]] = {}
    done: list[Finding] = []
    left: Left = []
    for found in findings:
        place = found.location
        if place is None or not place.file.endswith(".py") or not os.path.isfile(place.file):
            left.append((found, NO_PLACE))
        else:
            by_file.setdefault(os.path.realpath(place.file), []).append(found)
    for file, group in by_file.items():
        try:
            raw = before = read(file)
            tree = ast.dump(parse_bytes(raw))
            placed: list[Finding] = []
            for found in group:
                assert found.location is not None
                changed = next(with_comment(raw, found.location, found.code, tree), None)
                if changed is None:
                    left.append((found, NO_PLACE))
                else:
                    placed.append(found)
                    raw = changed
            if raw != before:
                replace_file(file, raw)
        except Unreadable:
            left += [(found, NO_PLACE) for found in group]
        except OSError as error:
            why = f"has no comment: the file cannot be written: {error.strerror or error}"
            left = [(found, reason) for found, reason in left if found not in group]
            left += [(found, why) for found in group]
        else:
            done += placed
    return done, left


def with_comment(raw: bytes, place: Location, code: str, tree: str) -> Iterator[bytes]:
    """The source with a comment at the first, or else the last line of a place, where that changes no code."""
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
