"""Branches that are added to themselves: the block's input, from which the branch started, is added instead.

x = self.conv(x); x + x                       identity = x; x = self.conv(x); x + identity
out = self.conv(x); out += out                out += x         or the name under which x was kept, `identity = x`
x = self.conv(x); skip = x; x + skip          skip = x; x = self.conv(x); x + skip
out + self.shortcut(out)                      out + self.shortcut(x)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import unused_name
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import dotted, last_name
from netcheck.location import Location

NAMES = ("identity", "residual", "shortcut", "skip")
WAY_AROUND = re.compile(r"short|skip|down|ident|resid|proj")
NO_VALUES = ("self", "torch", "F", "nn", "functional")


class Identity(Editor):
    """Adds what the branch started from."""

    codes = ("NC404",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits of each such sum."""
        for place in case.finding.locations:
            code = case.code(place)
            branch = branch_at(code, place)
            start = start_of(branch)
            yield from from_start(branch, branch.alias, start) if branch.alias is not None else added_instead(branch, start)


@dataclass(frozen=True)
class Branch:
    """A sum whose terms are one value.

    Attributes:
        code: the file.
        name: the value that is added to itself.
        term: where another value is to stand.
        before: the statements of its block up to the sum.
        alias: the statement that gives the value its second name.
    """

    code: Code
    name: str
    term: cst.BaseExpression
    before: tuple[cst.BaseStatement, ...]
    alias: cst.Assign | None = None


def branch_at(code: Code, place: Location) -> Branch:
    """The sum at a place.

    Raises:
        ByHand: it is not written as one of a name and itself.
    """
    statement = code.at(place, cst.SimpleStatementLine)
    block = code.parents.get(statement) if statement is not None else None
    if statement is None or not isinstance(block, cst.IndentedBlock):
        raise ByHand(f"line {place.line} is no statement of a block")
    before = tuple(block.body[: next(n for n, one in enumerate(block.body) if one is statement)])
    first, second = terms_at(code, place)
    if isinstance(first, cst.Name) and isinstance(second, cst.Name):
        if first.value == second.value:
            return Branch(code, first.value, second, before)
        for name, other in ((first, second), (second, first)):
            made = [
                one for one in bindings(before, other.value) if isinstance(one, cst.Assign) and dotted(one.value) == name.value
            ]
            if made:
                return Branch(code, name.value, other, before, made[-1])
    for bare, computed in ((first, second), (second, first)):
        if isinstance(bare, cst.Name) and isinstance(computed, cst.Call):
            inner = operand(computed)
            if inner is not None and inner.value == bare.value:
                around = WAY_AROUND.search(last_name(computed.func).lower())
                return Branch(code, bare.value, inner if around else bare, before)
    raise ByHand(f"line {place.line} does not add a name to itself")


def terms_at(code: Code, place: Location) -> tuple[cst.BaseExpression, cst.BaseExpression]:
    """The two terms of the sum at a place: of a + b, a += b, torch.add(a, b), a.add(b) and sum([a, b])."""
    changed = code.at(place, cst.AugAssign)
    if changed is not None and code.line_number(changed) == place.line and isinstance(changed.target, cst.Name):
        return changed.target, changed.value
    total = code.at(place, cst.BinaryOperation)
    if total is not None and code.line_number(total) == place.line:
        return total.left, total.right
    call = code.at(place, cst.Call)
    if call is not None and last_name(call.func) in ("add", "add_", "sum"):
        values = [arg.value for arg in call.args if arg.keyword is None]
        if len(values) == 1 and isinstance(values[0], cst.List | cst.Tuple):
            values = [one.value for one in values[0].elements]
        owner = call.func.value if isinstance(call.func, cst.Attribute) else None
        if owner is not None and dotted(owner).partition(".")[0] not in NO_VALUES:
            values = [owner, *values]
        if len(values) == 2:
            return values[0], values[1]
    raise ByHand(f"line {place.line} does not add a name to itself")


def operand(value: cst.BaseExpression) -> cst.Name | None:
    """The name that an expression is computed from: `x` of `self.norm(self.conv(x))` and of `x.relu()[0]`; None for none."""
    while not isinstance(value, cst.Name):
        if isinstance(value, cst.Subscript):
            value = value.value
        elif isinstance(value, cst.BinaryOperation):
            value = value.left
        elif isinstance(value, cst.Call):
            owner = value.func.value if isinstance(value.func, cst.Attribute) else None
            if owner is not None and (not dotted(owner) or dotted(owner).partition(".")[0] not in NO_VALUES):
                value = owner
            elif value.args:
                value = value.args[0].value
            else:
                return None
        else:
            return None
    return value


def bindings(statements: Iterable[cst.BaseStatement], name: str) -> Iterator[cst.Assign | cst.AugAssign]:
    """What gives a name another value, in statements that are run one after the other."""
    for line in statements:
        for one in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(one, cst.AugAssign) and dotted(one.target) == name:
                yield one
            if isinstance(one, cst.Assign) and any(name in names_of(target.target) for target in one.targets):
                yield one


def names_of(target: cst.BaseExpression) -> list[str]:
    """The names that an assignment binds."""
    if isinstance(target, cst.Tuple | cst.List):
        return [name for one in target.elements for name in names_of(one.value)]
    return [dotted(target)]


@dataclass(frozen=True)
class Start:
    """What a branch is computed from.

    Attributes:
        name: its name, that of the branch where it is overwritten.
        statement: the first statement of the branch.
        stays: whether the name still stands for it at the sum.
    """

    name: str
    statement: cst.BaseStatement
    stays: bool


def start_of(branch: Branch) -> Start:
    """What the branch is computed from.

    Raises:
        ByHand: that cannot be told.
    """
    first = None
    for number, line in reversed(list(enumerate(branch.before))):
        for made in bindings([line], branch.name):
            source = operand(made.value) if isinstance(made, cst.Assign) else None
            if source is None:
                raise ByHand(f"line {branch.code.line_number(made)} does not say what `{branch.name}` is computed from")
            first = line
            if source.value != branch.name:
                return Start(source.value, line, not any(bindings(branch.before[number:], source.value)))
    if first is None:
        raise ByHand(f"`{branch.name}` is not computed in the block of the sum")
    return Start(branch.name, first, False)


def from_start(branch: Branch, alias: cst.Assign, start: Start) -> Iterator[Edit]:
    """The edits that give the second name to what the branch started from."""
    code, line = branch.code, branch.code.line_of(alias)
    name = dotted(alias.targets[0].target)
    if name == start.name:  # it was that before
        yield code.removed(line)
    elif start.stays:
        yield code.replaced(alias.value, cst.Name(start.name))
    else:
        yield code.removed(line)
        yield code.inserted(start.statement, [f"{name} = {start.name}"], before=True)


def added_instead(branch: Branch, start: Start) -> Iterator[Edit]:
    """The edits that add what the branch started from, under the name that it has or gets."""
    code, kept = branch.code, given_for_it(branch) or kept_as(branch, start)
    if kept is None and not start.stays:
        kept = unused_name(code, start.statement, NAMES)
        yield code.inserted(start.statement, [f"{kept} = {start.name}"], before=True)
    yield code.replaced(branch.term, cst.Name(kept or start.name))


def given_for_it(branch: Branch) -> str | None:
    """The argument of the function that was meant: the one that nothing reads, or that is named for a way around."""
    function = branch.code.around(branch.term, cst.FunctionDef)
    if function is None:
        return None
    read = {one.value for one in branch.code.inside(function.body, cst.Name)}
    arguments = [one for one in function.params.params if one.name.value not in ("self", branch.name)]
    unread = [one.name.value for one in arguments if one.name.value not in read and one.default is None]
    named = [one.name.value for one in arguments if WAY_AROUND.search(one.name.value)]
    return next((found[0] for found in (unread, named) if len(found) == 1), None)


def kept_as(branch: Branch, start: Start) -> str | None:
    """Another name that the block gives to what the branch starts from."""
    until = next(n for n, one in enumerate(branch.before) if one is start.statement)
    held: str | None = None
    for line in branch.before[:until]:
        for one in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(one, cst.Assign) and len(one.targets) == 1:
                target = dotted(one.targets[0].target)
                if target == start.name:
                    held = None
                elif dotted(one.value) == start.name and target and target != branch.name:
                    held = target
    return held
