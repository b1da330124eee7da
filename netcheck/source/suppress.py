"""The comments that suppress findings, as they stand in the source. Imports no torch.

    self.act = nn.Tanh()  # netcheck: ignore[NC101] the range of the actuator
    x = torch.tanh(x)  # netcheck: ignore[NC101, tanh-stack]
    class Net(nn.Module):  # netcheck: ignore[NC4] plain on purpose: everything inside the class; or on its decorator

    # netcheck: ignore[NC501] alone on its line: the next line of code
    # netcheck: ignore                                    without brackets: every rule

Only real comments count (they are found by `tokenize`), not text that looks like one.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from netcheck.findings import Location
from netcheck.source import overlay
from netcheck.source.parse import SourceFile, Unreadable, limit_of, parse, read

MARK = re.compile(r"#\s*netcheck:\s*ignore\b(?:\[(?P<selectors>[^\]\n]*)\])?", re.IGNORECASE)
LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment that suppresses findings.

    Attributes:
        file: the path of its file.
        line: where it stands, from 1.
        column: the same.
        selectors: codes, beginnings of codes or names of rules; empty: all rules.
        covers: the line of code that it is about; 0 if none follows.
        inside: the first and last line of the class whose first line that is, or a decorator's line, if it is one.
        scope: the first and last line of the class, function or statement at the top of the file that holds it.
    """

    file: str
    line: int
    column: int
    selectors: tuple[str, ...]
    covers: int
    inside: tuple[int, int] | None
    scope: tuple[int, int]

    def stands_at(self, place: Location) -> bool:
        """Whether the comment is about this place: its first or last line, or the class around it."""
        if not same_file(self.file, place.file):
            return False
        if self.inside is not None:
            return self.inside[0] <= place.line <= self.inside[1]
        return self.covers in (place.line, place.end_line)


def comments(file: str) -> tuple[Comment, ...]:
    """The comments of a file that suppress findings; none if it cannot be read or is no Python."""
    try:
        return comments_of(file, *overlay.version(file))
    except (OSError, ValueError):
        return ()


@lru_cache(maxsize=1024)
def comments_of(file: str, modified: int, size: int) -> tuple[Comment, ...]:
    """`comments` for one version of a file."""
    try:
        if b"netcheck:" not in read(file, limit_of(file)).lower():  # spares parsing almost every file
            return ()
        source = parse(file)
        return tuple(found_in(source, file))
    except (Unreadable, tokenize.TokenError, SyntaxError):
        return ()


def found_in(source: SourceFile, file: str) -> Iterator[Comment]:
    """The comments in a parsed file."""
    headers = {
        line: (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        for line in range(first_line(node), max(node.lineno + 1, node.body[0].lineno))
    }
    for mark, line, column, covers in marks(source):
        listed = mark["selectors"]
        selectors = () if listed is None else tuple(one.strip() for one in listed.split(",") if one.strip())
        if listed is None or selectors:
            scope = scope_of(source.tree, covers or line)
            yield Comment(file, line, column, selectors, covers, headers.get(covers), scope)


def marks(source: SourceFile) -> Iterator[tuple[re.Match[str], int, int, int]]:
    """(match, line, column, line of code that it is about) of each comment."""
    alone: list[tuple[re.Match[str], int, int]] = []
    for token in tokenize.tokenize(io.BytesIO(source.raw).readline):
        if token.type == tokenize.COMMENT and (mark := MARK.search(token.string)):
            line, column = token.start[0], token.start[1] + mark.start() + 1
            if token.line[: token.start[1]].strip():
                yield mark, line, column, line
            else:
                alone.append((mark, line, column))
        elif token.type not in LAYOUT and token.type != tokenize.ENCODING:
            yield from ((*one, 0 if token.type == tokenize.ENDMARKER else token.start[0]) for one in alone)
            alone.clear()


def scope_of(tree: ast.Module, line: int) -> tuple[int, int]:
    """The first and last line of the statement at the top of a file that holds a line."""
    for node in tree.body:
        if first_line(node) <= line <= (node.end_lineno or node.lineno):
            return first_line(node), node.end_lineno or node.lineno
    return line, line


def first_line(node: ast.stmt) -> int:
    """The line that a statement begins on: a class's first decorator stands before its own."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


@lru_cache(maxsize=4096)
def same_file(one: str, other: str) -> bool:
    """Whether two paths lead to one file."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)
