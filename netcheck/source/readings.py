"""Where a function reads a parameter only on some of its ways. Imports no torch.

def forward(self, x, state, masks):                readings(forward, "masks")
    x = self.body(x)
    if self.recurrent:
        x = self.cell(x, state * masks)            Reading(line 18, members={"cell"})
    return self.head(x)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netcheck.findings import Location
from netcheck.source.locate import Definition, location, scopes_of
from netcheck.source.scopes import FunctionNode

BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.Match)
OPERATIONS = (ast.Call, ast.BinOp, ast.Subscript)


@dataclass(frozen=True)
class Reading:
    """A statement that computes with a parameter, and that may not run.

    Attributes:
        place: of the statement.
        members: the attributes of other objects that it names: `self.cell(x)` names "cell".
    """

    place: Location
    members: frozenset[str]


def readings(function: Definition, name: str) -> list[Reading] | None:
    """The statements that compute with a parameter; None if one of them runs on every way, or if none is known."""
    for scope in scopes_of(function):
        if isinstance(scope.node, FunctionNode):
            found = []
            for statement, sometimes in computing(scope.node.body, name, sometimes=False):
                if not sometimes or (place := location(statement, scope)) is None:
                    return None
                found.append(Reading(place, members_of(statement)))
            return found or None
    return None


def computing(body: Sequence[ast.stmt], name: str, *, sometimes: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """The simple statements in a body that compute with a name, each with whether it may not run."""
    for statement in body:
        if isinstance(statement, ast.With):
            yield from computing(statement.body, name, sometimes=sometimes)
        elif isinstance(statement, BRANCHES):
            for inner in bodies(statement):
                yield from computing(inner, name, sometimes=True)
            sometimes = sometimes or any(isinstance(each, ast.Return | ast.Break | ast.Continue) for each in ast.walk(statement))
        elif any(isinstance(each, OPERATIONS) and reads(each, name) for each in ast.walk(statement)):
            yield statement, sometimes


def bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement."""
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def reads(node: ast.AST, name: str) -> bool:
    """Whether an expression reads a name."""
    return any(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load) for each in ast.walk(node))


def members_of(statement: ast.stmt) -> frozenset[str]:
    """The attributes that a statement reads."""
    return frozenset(each.attr for each in ast.walk(statement) if isinstance(each, ast.Attribute))
