"""An evaluation, as those see it who take part in one (see `evaluate.py`). Imports no torch."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, Protocol

from netcheck.source.construction.project import Project
from netcheck.source.scopes import Scope


@dataclass
class Frame:
    """Where an expression stands: its scope, and what is known of the names that the scope's caller gave."""

    scope: Scope
    given: dict[str, Any] = field(default_factory=dict)

    def within(self, more: dict[str, Any]) -> Frame:
        """The same place with more names."""
        return Frame(self.scope, {**self.given, **more})


class Evaluation(Protocol):
    """What follows expressions to their values.

    Attributes:
        project: the files that it may read.
        forced: options whose value is known to be another than the default.
    """

    project: Project
    forced: dict[str, str]

    def value(self, expression: ast.expr, frame: Frame) -> Any:
        """What an expression comes to."""

    def arguments(self, call: ast.Call, frame: Frame) -> tuple[list[Any], dict[str, Any]]:
        """The values of a call's arguments."""

    def bound_arguments(self, scope: Scope, call: ast.Call, frame: Frame) -> dict[str, Any]:
        """The same by the names of a function's parameters."""

    def returned(self, scope: Scope, given: dict[str, Any]) -> Any:
        """What a function of the project returns."""

    def attribute_of(self, base: Any, name: str) -> Any:
        """An attribute of a value."""

    def looked_up(self, trail: tuple[str | int, ...]) -> Any:
        """What the project's configurations and options have under a name."""

    def assigned(self, key: str, frame: Frame, line: int) -> Any:
        """What a key is assigned last before a line of a scope."""

    def of_module(self, file: str, name: str) -> Any:
        """What a name at the top of a file of the project stands for."""
