"""The training step: what is missing in a loop, what stands at the wrong place, what is named and not called."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import in_torch
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import dotted, last_name
from netcheck.location import Location

QUOTED = re.compile(r"`([^`]+)`")
BETWEEN = re.compile(r"clip_grad|unscale_")  # what stands between backward and the step


class Cleared(Editor):
    """Clears the gradients before backward, or behind the step where backward is elsewhere."""

    codes = ("TS101",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """One line more."""
        code, place = case.place
        step = statement_at(code, place)
        line = quoted(case.finding.help)
        for sibling in siblings(code, step):
            if sibling is step:
                break
            if calls(code, sibling, "backward"):
                return [code.inserted(sibling, [line], before=True)]
        return [code.inserted(step, [line])]


class Stepped(Editor):
    """Steps behind backward, and behind what clips the gradients."""

    codes = ("TS103",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """One line more."""
        code, place = case.place
        backward = statement_at(code, place)
        last, row = backward, siblings(code, backward)
        for one in row[row.index(backward) + 1 :]:
            if isinstance(one, cst.SimpleStatementLine) and any(
                BETWEEN.match(last_name(c.func)) for c in code.inside(one, cst.Call)
            ):
                last = one
        return [code.inserted(last, [quoted(case.finding.help)])]


class Moved(Editor):
    """Moves a line before or behind another of the same block."""

    codes = ("TS102", "TS105", "TS201", "TS301")

    def edits(self, case: Case) -> Iterable[Edit]:
        """The line taken out, and put in."""
        code, place = case.place
        line = statement_at(code, place)
        other: cst.BaseStatement = statement_at(code, case.finding.locations[1])
        behind = case.finding.code in ("TS105", "TS301")
        if case.finding.code == "TS102":
            found = [one for one in siblings(code, line) if calls(code, one, "backward")]
            if not found:
                raise ByHand("backward is called in another block")
            other = found[0]
        if case.finding.code == "TS301":
            other = next((one for one in siblings(code, line) if code.is_within(other, one)), other)
        if code.parents.get(line) is not code.parents.get(other):
            raise ByHand("the two lines are in different blocks")
        text = textwrap.dedent(lines_of(code, line)).splitlines()
        return [code.removed(line), code.inserted(other, text, before=not behind)]


class Called(Editor):
    """Calls a method that is named alone."""

    codes = ("TS107",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Two brackets more."""
        code, place = case.place
        found = code.at(place, cst.Expr)
        if found is None:
            raise ByHand(f"line {place.line} is no expression of its own")
        yield code.replaced(found.value, cst.Call(found.value))


class Detached(Editor):
    """Keeps a loss without its graph."""

    codes = ("TS501",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """`loss` as `loss.detach()` where it is kept."""
        code, place = case.place
        statement = statement_at(code, place).body[0]
        call = code.at(place, cst.Call)
        value: cst.BaseExpression | None = None
        if isinstance(statement, cst.AugAssign):
            value = statement.value
        elif call is not None and last_name(call.func) == "append" and len(call.args) == 1:
            value = call.args[0].value
        elif isinstance(statement, cst.Assign) and isinstance(statement.value, cst.BinaryOperation):
            value = statement.value.right
        if isinstance(value, cst.BinaryOperation):
            names = [one for one in (value.left, value.right) if "loss" in dotted(one).lower()]
            value = names[0] if len(names) == 1 else None
        if value is None or not dotted(value):
            raise ByHand(f"line {place.line} keeps an expression of which it is not clear what is the loss")
        yield code.replaced(value, cst.Call(cst.Attribute(value, cst.Name("detach"))))


class Swapped(Editor):
    """Gives a loss the output first."""

    codes = ("TS702",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """The first two arguments, exchanged."""
        code, place = case.place
        call = code.call_at(place)
        args = call.args
        if len(args) < 2 or any(arg.keyword or arg.star for arg in args[:2]):
            raise ByHand(f"line {place.line} names its arguments")
        first, second = (code.source_of(arg.value) for arg in args[:2])
        yield code.replaced(args[0].value, cst.parse_expression(second))
        yield code.replaced(args[1].value, cst.parse_expression(first))


class Training(Editor):
    """Turns training mode on at the beginning of each turn."""

    codes = ("TS401",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """One line more."""
        code, place = case.place
        loop = around_both(code, place, case.finding.locations[1])
        first = loop.body.body[0]
        yield code.inserted(first, [quoted(case.finding.help)], before=True)


class WithoutGradients(Editor):
    """Validates under `torch.no_grad()`: the function, or the loop."""

    codes = ("TS402",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """A decorator, or the loop within a block."""
        code, place = case.place
        call = code.call_at(place)
        name, imports = in_torch(code, "torch.no_grad")
        function = code.around(call, cst.FunctionDef)
        if function is not None and not calls(code, function, "backward"):
            return [*imports, code.inserted(function, [f"@{name}()"], before=True)]
        loop = outermost_loop(code, call)
        if loop is None:
            raise ByHand("it is in no loop")
        return [*imports, *indented(code, loop, f"with {name}():")]


def statement_at(code: Code, place: Location) -> cst.SimpleStatementLine:
    """The statement at a place.

    Raises:
        ByHand: it is none of its own line.
    """
    found = code.at(place, cst.SimpleStatementLine)
    if found is None:
        raise ByHand(f"line {place.line} is no statement of its own")
    return code.line_of(found)


def quoted(text: str) -> str:
    """The first code in a text."""
    found = QUOTED.search(text)
    assert found is not None
    return found[1]


def siblings(code: Code, statement: cst.CSTNode) -> list[cst.BaseStatement]:
    """The statements of the same block."""
    block = code.parents.get(statement)
    return list(block.body) if isinstance(block, cst.IndentedBlock | cst.Module) else []


def calls(code: Code, inside: cst.CSTNode, name: str) -> bool:
    """Whether a method of this name is called in a node."""
    return any(last_name(call.func) == name for call in code.inside(inside, cst.Call))


def lines_of(code: Code, statement: cst.CSTNode) -> str:
    """The whole lines of a statement, with the comment behind it."""
    where = code.positions[statement]
    last = where.end.line
    return code.text[code.starts[where.start.line - 1] : code.starts[last] if last < len(code.starts) else len(code.text)]


def around_both(code: Code, one: Location, other: Location) -> cst.For | cst.While:
    """The innermost loop that holds two places.

    Raises:
        ByHand: there is none, or its body is on its line.
    """
    loop: cst.CSTNode | None = code.at(one, cst.SimpleStatementLine)
    while loop is not None:
        if isinstance(loop, cst.For | cst.While) and isinstance(loop.body, cst.IndentedBlock):
            where = code.positions[loop]
            if where.start.line <= other.line <= where.end.line:
                return loop
        loop = code.parents.get(loop)
    raise ByHand("no loop holds both lines")


def outermost_loop(code: Code, node: cst.CSTNode) -> cst.For | None:
    """The outermost loop around a node in which nothing calls backward."""
    found, above = None, code.parents.get(node)
    while above is not None and not isinstance(above, cst.FunctionDef):
        if isinstance(above, cst.For) and not calls(code, above, "backward"):
            found = above
        above = code.parents.get(above)
    return found


def indented(code: Code, statement: cst.CSTNode, head: str) -> Iterator[Edit]:
    """A statement within a block.

    Raises:
        ByHand: it holds a text of several lines, which would change.
    """
    strings = [*code.inside(statement, cst.SimpleString), *code.inside(statement, cst.FormattedString)]
    if any("\n" in code.source_of(one) for one in strings):
        raise ByHand("the loop holds a text of several lines")
    where = code.positions[statement]
    start, end = code.starts[where.start.line - 1], code.end_of(statement)
    old = code.text[start:end].splitlines(keepends=True)
    indent = code.indent_of(statement)
    new = [f"{code.step}{line}" if line.strip() else line for line in old]
    yield code.edit(start, end, f"{indent}{head}{code.newline}" + "".join(new))
