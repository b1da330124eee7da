"""What a failing Python check asks: the line that raised, read with the values that its names had.

    assert x.shape[1] == self.features          x (2, 8)      ->  Demand("size", x, have 8, want 3, axis 1)
    if height % self.patch: raise ValueError    height 30     ->  Demand("value", have 30, want 32), then 28
    batch, channels, h, w = x.shape             x (2, 8)      ->  Demand("rank", x, have 2, want 4)

A condition is evaluated only where that cannot have side effects (`netcheck.load.inference.expressions`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from netcheck.load.inference.calls import Origin
from netcheck.load.inference.demands import Demand
from netcheck.load.inference.expressions import UNKNOWN, Scope, frames_of, statement_at
from netcheck.load.inference.recorder import Recorder

EXTREMES = frozenset(("min", "max", "amin", "amax"))
MOST_FRAMES = 8  # from the innermost outwards
INTERNALS = re.compile(r"/torch/(_|utils/|fx/|overrides)")  # what they check is in terms of their own


def of_error(error: BaseException, recorder: Recorder) -> list[Demand]:
    """What the innermost check that can be read asks for."""
    frames = [(frame, line) for frame, line in frames_of(error.__traceback__) if not INTERNALS.search(frame.f_code.co_filename)]
    for frame, line in frames[::-1][:MOST_FRAMES]:
        reader = Reader(frame, recorder)
        found = list(dict.fromkeys(reader.read(line, error)))
        if found:
            return found
    return []


def names_on_lines(error: BaseException) -> Iterator[str]:
    """The names in the message, then on the failing lines and in the conditions above, innermost first."""
    yield from re.findall(r"\w+", str(error))
    for frame, line in list(frames_of(error.__traceback__))[::-1]:
        statement, enclosing = statement_at(frame.f_code.co_filename, line)
        for node in (statement, *(branch.test for branch, _ in enclosing)):
            if node is not None and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name))
                yield from (word.arg for word in ast.walk(node) if isinstance(word, ast.keyword) and word.arg)


class Reader(Scope):
    """Reads one frame: its source, with the values that its names have."""

    def __init__(self, frame: FrameType, recorder: Recorder) -> None:
        super().__init__(frame)
        self.recorder = recorder

    def read(self, line: int, error: BaseException) -> Iterator[Demand]:
        """What the statement on `line` asks for."""
        statement, enclosing = statement_at(self.frame.f_code.co_filename, line)
        if statement is None:
            return
        if isinstance(statement, ast.Assert):
            yield from self.make(statement.test, True)
        elif isinstance(statement, ast.Raise):
            for branch, in_body in enclosing:
                yield from self.make(branch.test, not in_body)
        elif isinstance(statement, ast.If):
            pass
        elif (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Call)
            and isinstance(error, (AssertionError, ValueError, RuntimeError))
        ):
            condition = next(iter(statement.value.args), None)
            if isinstance(condition, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
                yield from self.make(condition, True)
        if "values to unpack" in str(error) and isinstance(statement, (ast.Assign, ast.For)):
            yield from self.unpacking(statement, str(error))
        if isinstance(error, IndexError):
            yield from self.out_of_range(statement)
        if isinstance(error, AttributeError):
            yield from self.missing_attribute(statement, error)

    def make(self, test: ast.expr, want: bool) -> Iterator[Demand]:
        """What would make `test` true, or false."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            yield from self.make(test.operand, not want)
        elif isinstance(test, ast.BoolOp):
            for part in test.values:
                if self.value(part) is UNKNOWN or bool_or_unknown(self.value(part)) is not want:
                    yield from self.make(part, want)
        elif isinstance(test, ast.Compare) and len(test.ops) == 1:
            yield from self.comparison(test.left, test.ops[0], test.comparators[0], want)
        elif isinstance(test, ast.Compare):  # 0 < a <= b
            sides = [test.left, *test.comparators]
            for left, operator, right in zip(sides, test.ops, sides[1:], strict=False):
                yield from self.comparison(left, operator, right, want)
        elif isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "isinstance" and want:
            yield from self.instance(test)
        elif isinstance(test, ast.Call) and called_as(test) in ("any", "all"):
            yield from self.within(subject_of(test))
        elif isinstance(test, ast.BinOp) and isinstance(test.op, ast.Mod):
            yield from self.comparison(test, ast.Eq(), ast.Constant(0), not want)
        elif isinstance(test, (ast.BinOp,)):
            for node in ast.walk(test):
                if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
                    yield from self.comparison(node.left, ast.Is(), node.comparators[0], False)

    def comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr, want: bool) -> Iterator[Demand]:
        """What would make a comparison come out as `want`."""
        for side in (left, right):
            if isinstance(side, ast.Call) and called_as(side) in EXTREMES:
                yield from self.within(subject_of(side))
        a, b = self.value(left), self.value(right)
        if a is UNKNOWN or b is UNKNOWN:
            return
        if isinstance(operator, (ast.Is, ast.IsNot)):
            if b is None and a is None and isinstance(left, ast.Name) and isinstance(operator, ast.Is) is not want:
                yield Demand("provide", None, None, left.id, by=ast.unparse(left))
            return
        kinds: tuple[type[ast.cmpop], ...] = (
            ast.Eq,
            ast.NotEq,
            ast.Lt,
            ast.LtE,
            ast.Gt,
            ast.GtE,
            ast.In,
            ast.NotIn,
        )
        kind: type[ast.cmpop] = next((kind for kind in kinds if isinstance(operator, kind)), ast.Eq)
        if not want:
            opposite: dict[type[ast.cmpop], type[ast.cmpop]] = {
                ast.Eq: ast.NotEq,
                ast.Lt: ast.GtE,
                ast.LtE: ast.Gt,
                ast.In: ast.NotIn,
            }
            opposite |= {value: key for key, value in opposite.items()}
            kind = opposite[kind]
        if kind is ast.Eq and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod) and b == 0:
            yield from self.multiple(left)
            return
        if kind is ast.Eq and type(a) is type(b) is bool:
            yield from self.make(left, b)
            yield from self.make(right, a)
        elif kind is ast.Eq:
            yield from self.side(left, a, b)
            yield from self.side(right, b, a)
        elif kind is ast.In and isinstance(b, (tuple, list, set, range)):
            members = [member for member in list(b)[:9] if type(member) is type(a)]
            if isinstance(a, int):
                members.sort(key=lambda member: abs(member - a))
            for member in members:
                yield from self.side(left, a, member)
        elif isinstance(a, int) and isinstance(b, int):
            for wanted_a, wanted_b in bounds(kind, a, b):
                yield from self.side(left, a, wanted_a)
                yield from self.side(right, b, wanted_b)

    def within(self, subject: ast.expr | None) -> Iterator[Demand]:
        """x.min() < 0, (x > 1).any(): values in a range, of an input that is one of floats."""
        sides = [subject.left, *subject.comparators] if isinstance(subject, ast.Compare) else [subject]
        for side in sides:
            tensor = self.value(side) if side is not None else None
            origin = self.recorder.origin(tensor) if isinstance(tensor, Tensor) and tensor.is_floating_point() else None
            if origin is not None:
                yield Demand("range", origin, None, (0, 1), by=ast.unparse(side) if side is not None else "")

    def multiple(self, remainder: ast.BinOp) -> Iterator[Demand]:
        """The nearest multiples, above first."""
        a, b = self.value(remainder.left), self.value(remainder.right)
        if isinstance(a, int) and isinstance(b, int) and b > 0 and a % b:
            yield from self.side(remainder.left, a, a + b - a % b)
            if a > b:
                yield from self.side(remainder.left, a, a - a % b)

    def side(self, expression: ast.expr, have: Any, want: Any) -> Iterator[Demand]:
        """`expression`, which is `have`, should be `want`."""
        text = ast.unparse(expression)
        tensor, axes = self.axes(expression)
        origin = self.recorder.origin(tensor)
        if isinstance(have, torch.dtype) and isinstance(expression, ast.Attribute) and expression.attr == "dtype":
            owner = self.value(expression.value)
            if isinstance(owner, Tensor) and isinstance(want, torch.dtype):
                yield Demand("dtype", self.recorder.origin(owner), have, want, by=text)
        elif isinstance(have, tuple) and isinstance(want, (tuple, list)):
            differing = sum(a != b for a, b in zip(have, want, strict=False))
            if tensor is not None and (len(have) != len(want) or differing > 1):
                yield Demand("shape", origin, tuple(have), tuple(want), by=text)
            for index, (size, wanted) in enumerate(zip(have, want, strict=False)):
                if len(have) != len(want) or size == wanted or not isinstance(wanted, int):
                    continue
                if tensor is not None and origin is not None and index < len(axes):
                    yield Demand("size", origin, size, wanted, axis=axes[index], by=text)
                elif tensor is None:
                    yield Demand("value", None, size, wanted, by=f"{text}[{index}]")
        elif isinstance(have, int) and isinstance(want, int) and not isinstance(have, bool) and want >= 0:
            yield from self.integer(expression, have, want, tensor, axes, origin)

    def integer(
        self,
        expression: ast.expr,
        have: int,
        want: int,
        tensor: Tensor | None,
        axes: list[int],
        origin: Origin | None,
    ) -> Iterator[Demand]:
        """An integer: a tensor's rank, one of its sizes, or something computed."""
        text = ast.unparse(expression)
        ranked = self.ranked(expression)
        if ranked is not None:
            if self.recorder.origin(ranked) is not None:
                yield Demand("rank", self.recorder.origin(ranked), have, want, by=text)
        elif tensor is not None and len(axes) == 1:
            if origin is not None:
                yield Demand("size", origin, have, want, axis=axes[0], by=text)
        elif not is_constant(expression):
            yield Demand("value", None, have, want, by=text)

    def instance(self, test: ast.Call) -> Iterator[Demand]:
        """isinstance(x, list): give a list."""
        value, kind = self.value(test.args[0]), self.value(test.args[1])
        origin = self.recorder.origin(value) if isinstance(value, Tensor) else None
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if origin is not None and any(one in (list, tuple) for one in kinds):
            yield Demand("parts", origin, 1, 2, by=ast.unparse(test))

    def unpacking(self, statement: ast.Assign | ast.For, message: str) -> Iterator[Demand]:
        """a, b = x.shape: as many axes as names."""
        expected = re.search(r"expected (\d+)", message)
        value = statement.value if isinstance(statement, ast.Assign) else statement.iter
        tensor, axes = self.axes(value)
        if expected is None:
            return
        if tensor is not None:
            want = tensor.dim() + int(expected[1]) - len(axes)
            yield Demand("rank", self.recorder.origin(tensor), tensor.dim(), want, by=ast.unparse(value))

    def out_of_range(self, statement: ast.stmt) -> Iterator[Demand]:
        """x.shape[3]: at least four axes."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript):
                tensor, axes = self.axes(node.value)
                index = self.value(node.slice)
                if tensor is not None and isinstance(index, int) and not -len(axes) <= index < len(axes):
                    want = tensor.dim() - len(axes) + (index + 1 if index >= 0 else -index)
                    yield Demand("rank", self.recorder.origin(tensor), tensor.dim(), want, by=ast.unparse(node))

    def missing_attribute(self, statement: ast.stmt, error: AttributeError) -> Iterator[Demand]:
        """x.items(): a dict; which keys only a subscript will tell. data.edge_index: an object with that attribute."""
        origin = self.recorder.origin(error.obj)
        if origin is None or not self.recorder.is_input(origin):
            return
        if error.name not in ("keys", "items", "values", "get"):
            yield Demand("bundle", origin, None, error.name, by=f".{error.name}")
            return
        texts = (node.value for node in ast.walk(statement) if isinstance(node, ast.Constant) and isinstance(node.value, str))
        yield Demand("key", origin, None, next(texts, "input"), by=f".{error.name}()")


def called_as(call: ast.Call) -> str:
    """The last part of the name by which something is called: "min" of `x.min()` and of `torch.min(x)`."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def subject_of(call: ast.Call) -> ast.expr | None:
    """What a method is of, or the first argument of a function of a module: x of `x.min()` and of `torch.min(x)`."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    is_module = isinstance(owner, ast.Name) and owner.id == "torch"
    return next(iter(call.args), None) if owner is None or is_module else owner


def bool_or_unknown(value: Any) -> bool | None:
    """A value's truth, None where it has none."""
    try:
        return bool(value)
    except Exception:  # a tensor's truth may not be known
        return None


def bounds(kind: type[ast.cmpop], a: int, b: int) -> list[tuple[int, int]]:
    """For a comparison that fails, what `a` or `b` should be instead."""
    if kind is ast.LtE:
        return [(b, a)]
    if kind is ast.GtE:
        return [(b, a)]
    if kind is ast.Lt:
        return [(b - 1, a + 1)]
    if kind is ast.Gt:
        return [(b + 1, a - 1)]
    if kind is ast.NotEq:
        return [(a + 1, b + 1), (max(0, a - 1), max(0, b - 1))]
    return []


def is_constant(expression: ast.expr) -> bool:
    """Whether an expression is a number, or an attribute of the model: nothing that inputs could change."""
    if isinstance(expression, ast.Constant):
        return True
    while isinstance(expression, (ast.Attribute, ast.Subscript)):
        expression = expression.value
    return isinstance(expression, ast.Name) and expression.id == "self"


def by_numbers(message: str, recorder: Recorder) -> Iterator[Demand]:
    """Numbers in a message: one that is a size of ours, and another that may be what is wanted."""
    rank = re.search(r"expected (\d+) dims?\. Received (\d+)-dim", message, re.IGNORECASE)
    if rank:
        for tensor, origin in recorder.followed():
            if tensor.dim() == int(rank[2]):
                yield Demand("rank", origin, int(rank[2]), int(rank[1]), by="message")
                return
    chunks = re.search(r"can't divide axis of length (\d+) in chunks of (\d+)", message)
    if chunks:
        have, part = int(chunks[1]), int(chunks[2])
        yield Demand("value", None, have, have + part - have % part, by="message")
        return
    numbers = list(dict.fromkeys(int(number) for number in re.findall(r"(?<![\w.])\d{1,6}(?![\w.]*\w)", message)))
    sizes = set(recorder.proposal.sizes.values()) | {recorder.proposal.size(symbol) for symbol in ("length", "height", "samples")}
    for have in numbers:
        for want in numbers:
            if have in sizes and want != have and want > 0 and have != 2:
                yield Demand("value", None, have, want, by="message")
    if len(numbers) == 2 and not set(numbers) & sizes and min(numbers) > 0:
        yield Demand("value", None, numbers[0], numbers[1], by="message")
        yield Demand("value", None, numbers[1], numbers[0], by="message")
