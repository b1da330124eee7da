"""One file as concrete syntax: found by places, changed by edits that leave every other byte alone. Needs LibCST.

code = Code("net.py", raw)
call = code.call_at(place)                           nn.Conv2d(3, 8, 3)   # the first
code.replaced(call, with_argument(call, "bias", "False"))        Edit: at line 7, column 41, put in ", bias=False"

A node is replaced, never text: what an edit writes is what LibCST writes for the new node, cut down to what differs. Comments,
quotes, layout and line ends of what is kept are therefore the file's own.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import libcst as cst
from libcst.metadata import CodePosition, MetadataWrapper, ParentNodeProvider, PositionProvider

from netcheck.figures.fixes import Edit
from netcheck.location import Location
from netcheck.source.edits import line_and_column, line_starts

Node = TypeVar("Node", bound=cst.CSTNode)
Function = cst.FunctionDef


class ByHand(Exception):
    """No edit can be made of a finding. Its text says why: the rest of a sentence that begins with "by hand: "."""


class Code:
    """One file's Python.

    Args:
        path: the file.
        raw: its Python as bytes; of a notebook, that of its cells.

    Raises:
        ByHand: LibCST cannot parse it.
    """

    def __init__(self, path: str, raw: bytes) -> None:
        self.path = path
        try:
            self.text = raw.decode(tokenize.detect_encoding(io.BytesIO(raw).readline)[0])
            wrapper = MetadataWrapper(cst.parse_module(self.text), unsafe_skip_copy=True)
            self.module = wrapper.module
            self.positions = wrapper.resolve(PositionProvider)
            self.parents = wrapper.resolve(ParentNodeProvider)
        except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError, RecursionError) as error:
            raise ByHand(f"LibCST cannot read the file ({type(error).__name__})") from error
        self.starts = line_starts(self.text)

    @cached_property
    def nodes(self) -> dict[tuple[int, int], list[cst.CSTNode]]:
        """Nodes by the line and column, from 0, where they begin; outer ones first."""
        found: dict[tuple[int, int], list[cst.CSTNode]] = {}
        for node, where in self.positions.items():
            found.setdefault((where.start.line, where.start.column), []).append(node)
        for group in found.values():
            group.sort(key=lambda node: -self.end_of(node))
        return found

    def end_of(self, node: cst.CSTNode) -> int:
        """Where a node ends in the text."""
        return self.position(self.positions[node].end)

    def is_within(self, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
        """Whether a node is another or stands in it."""
        return self.begin_of(outer) <= self.begin_of(node) and self.end_of(node) <= self.end_of(outer)

    def end_of_part(self, part: cst.Arg | cst.BaseElement) -> int:
        """Where an argument or an element ends in the text, before its comma."""
        return self.extent(part.value)[1]

    def source_of(self, node: cst.CSTNode) -> str:
        """A node as the file writes it, without what stands around it."""
        return self.text[self.begin_of(node) : self.end_of(node)]

    def at(self, place: Location, kind: type[Node]) -> Node | None:
        """The node of a kind at a place: of the place's own extent, else the innermost that holds its beginning."""
        start = (place.line, place.column - 1)
        found = [node for node in self.nodes.get(start, ()) if isinstance(node, kind)]
        end = (place.end_line, place.end_column)
        for node in found:
            where = self.positions[node].end
            if (where.line, where.column + 1) == end:
                return node
        if found:
            return found[-1]
        if not 0 < place.line <= len(self.starts):
            return None
        position = self.starts[place.line - 1] + place.column - 1
        around = [one for one in self.every(kind) if self.begin_of(one) <= position < self.end_of(one)]
        return min(around, key=lambda one: self.end_of(one) - self.begin_of(one), default=None)

    def begin_of(self, node: cst.CSTNode) -> int:
        """Where a node begins in the text."""
        return self.position(self.positions[node].start)

    def position(self, place: CodePosition) -> int:
        """Where a place of LibCST's is in the text; it counts a line more where the last has no end."""
        return len(self.text) if place.line > len(self.starts) else self.starts[place.line - 1] + place.column

    def every(self, kind: type[Node]) -> Iterator[Node]:
        """All nodes of a kind."""
        return (node for node in self.positions if isinstance(node, kind))

    def inside(self, outer: cst.CSTNode, kind: type[Node]) -> Iterator[Node]:
        """The nodes of a kind in another node, in the order of the text."""
        first, last = self.begin_of(outer), self.end_of(outer)
        found = [one for one in self.every(kind) if first <= self.begin_of(one) and self.end_of(one) <= last and one is not outer]
        return iter(sorted(found, key=self.begin_of))

    def extent(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where a node begins and ends in the text, with the brackets around it."""
        start, end = self.begin_of(node), self.end_of(node)
        for _ in getattr(node, "lpar", ()):
            start, end = self.text.rindex("(", 0, start), self.text.index(")", end) + 1
        return start, end

    def call_at(self, place: Location) -> cst.Call:
        """The call at a place.

        Raises:
            ByHand: there is none.
        """
        found = self.at(place, cst.Call)
        if found is None:
            raise ByHand(f"line {place.line} has no call")
        return found

    def around(self, node: cst.CSTNode, kind: type[Node]) -> Node | None:
        """The innermost node of a kind that holds another."""
        above = self.parents.get(node)
        while above is not None and not isinstance(above, kind):
            above = self.parents.get(above)
        return above if isinstance(above, kind) else None

    def method(self, owner: cst.ClassDef, name: str) -> Function | None:
        """A method that a class defines itself."""
        body = owner.body.body if isinstance(owner.body, cst.IndentedBlock) else ()
        return next((one for one in body if isinstance(one, Function) and one.name.value == name), None)

    def replaced(self, node: cst.CSTNode, new: cst.CSTNode) -> Edit:
        """The edit that puts another node in the place of a node; brackets around that stay."""
        around = getattr(node, "lpar", ())
        if around and not getattr(new, "lpar", around):
            new = new.with_changes(lpar=around, rpar=node.rpar)  # type: ignore[attr-defined]
        changed = self.module.deep_replace(node, new)
        assert isinstance(changed, cst.Module)
        return self.edit(0, len(self.text), changed.code)

    def edit(self, start: int, end: int, content: str) -> Edit:
        """The edit of a range of the text, cut down to what differs."""
        old = self.text[start:end]
        same = next((n for n, (a, b) in enumerate(zip(old, content, strict=False)) if a != b), min(len(old), len(content)))
        old, content, start = old[same:], content[same:], start + same
        most = min(len(old), len(content))
        tail = next((n for n in range(most) if old[-1 - n] != content[-1 - n]), most)
        end -= tail
        content = content[: len(content) - tail]
        return Edit(self.path, *line_and_column(self.starts, start), *line_and_column(self.starts, end), content)

    def line_of(self, node: cst.CSTNode) -> cst.SimpleStatementLine:
        """The statement that a node stands in, alone on its line.

        Raises:
            ByHand: it is in none, or beside another on the line.
        """
        found = node if isinstance(node, cst.SimpleStatementLine) else self.around(node, cst.SimpleStatementLine)
        if found is None or len(found.body) > 1:
            raise ByHand(f"line {self.positions[node].start.line} holds more than one statement")
        return found

    def removed(self, statement: cst.BaseCompoundStatement | cst.SimpleStatementLine) -> Edit:
        """The edit that takes the lines of a statement out, with the comment behind it.

        Raises:
            ByHand: it is all that its block has.
        """
        block = self.parents.get(statement)
        if isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
            raise ByHand(f"line {self.positions[statement].start.line} is all that its block has")
        where = self.positions[statement]
        last = where.end.line
        end = self.starts[last] if last < len(self.starts) else len(self.text)
        return self.edit(self.starts[where.start.line - 1], end, "")

    def inserted(self, statement: cst.CSTNode, lines: Sequence[str], *, before: bool = False) -> Edit:
        """The edit that puts lines after, or before, the lines of a statement, indented as that is."""
        where = self.positions[statement]
        indent = self.indent_of(statement)
        text = "".join(f"{indent}{line}{self.newline}" if line else self.newline for line in lines)
        if before:
            return self.edit(*(self.starts[where.start.line - 1],) * 2, text)
        if where.end.line < len(self.starts):
            return self.edit(*(self.starts[where.end.line],) * 2, text)
        return self.edit(len(self.text), len(self.text), self.newline + text.removesuffix(self.newline))

    def indent_of(self, statement: cst.CSTNode) -> str:
        """What stands before a statement on its line."""
        where = self.positions[statement].start
        return self.text[self.starts[where.line - 1] :][: where.column]

    @property
    def newline(self) -> str:
        """How lines of the file end."""
        return self.module.default_newline

    @property
    def step(self) -> str:
        """By how much blocks are indented."""
        return self.module.default_indent

    def line_number(self, node: cst.CSTNode) -> int:
        """The line that a node begins on."""
        line: int = self.positions[node].start.line
        return line
