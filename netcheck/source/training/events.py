"""What happens in a training step, as plain data: events in their order, with the loops and branches around each."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import TYPE_CHECKING

from netcheck.location import Location
from netcheck.source.locate import location
from netcheck.source.scopes import Scope

if TYPE_CHECKING:
    from netcheck.source.training.values import Value


class Act(StrEnum):
    """What an event does."""

    FORWARD = auto()  # a model is called
    LOSS = auto()  # a loss is computed
    BACKWARD = auto()
    STEP = auto()  # of an optimizer
    CLEAR = auto()  # zero_grad
    CLIP = auto()  # of gradients
    UNSCALE = auto()  # by a GradScaler
    UPDATE = auto()  # of a GradScaler
    SCHEDULE = auto()  # a scheduler's step
    TRAIN = auto()  # model.train()
    EVAL = auto()  # model.eval()
    GRADIENT = auto()  # `.grad` is read or written, or torch.autograd.grad is called
    KEEP = auto()  # a value goes into a list, or is added to a sum
    SET_EPOCH = auto()
    ASSIGN = auto()  # an attribute, such as model.fc
    MAKE = auto()  # an optimizer, a scheduler, a sampler, ... is built
    PARAMETERS = auto()  # add_param_group
    NAMED = auto()  # a method that is named as a statement, and not called
    RETURN = auto()
    CALL = auto()  # of what cannot be seen


@dataclass(frozen=True, eq=False)
class Loop:
    """One run through a loop: a function that is called twice has two.

    Attributes:
        node: the statement; of a loop that a framework runs around a method, that method.
        scope: where it stands.
        over: what it goes over; None for `while` and for a framework's.
    """

    node: ast.stmt
    scope: Scope
    over: Value | None = None

    @property
    def place(self) -> Location:
        """Its first line."""
        first = location(self.node, self.scope)
        return Location(first.file, first.line, first.column, function=first.function)


Guard = tuple[int, int]  # the number of a branching statement, and of its branch


@dataclass(frozen=True, eq=False)
class Event:
    """One act.

    Attributes:
        act: what it does.
        node: the call or statement.
        scope: where that stands.
        subject: the key of what it is done to: the optimizer that steps, the loss that backward starts from, the model.
        loops: those around it, the outermost first.
        guards: the branches that it stands in, the outermost first.
        grad: whether gradients are recorded; None if that cannot be told.
        given: the keys that a call is given as they are.
        value: of what it is about: the loss, what is kept, the first argument.
        scaler: the key of the GradScaler that it goes through.
        arguments: how many it has.
    """

    act: Act
    node: ast.expr | ast.stmt
    scope: Scope
    subject: str = ""
    loops: tuple[Loop, ...] = ()
    guards: tuple[Guard, ...] = ()
    grad: bool | None = True
    given: frozenset[str] = frozenset()
    value: Value | None = None
    scaler: str = ""
    arguments: int = 0

    @property
    def place(self) -> Location:
        """Where it stands."""
        return location(self.node, self.scope)

    @property
    def loop(self) -> Loop | None:
        """The innermost loop around it."""
        return self.loops[-1] if self.loops else None

    @property
    def text(self) -> str:
        """Its source on one line."""
        return ast.unparse(self.node).split("\n")[0]

    @property
    def subject_name(self) -> str:
        """What the source calls what it is done to, as far as that is one name: "optimizer"."""
        name = self.subject.rpartition(".")[2].rpartition(":")[2]
        called = self.node.func if isinstance(self.node, ast.Call) else None
        if "@" in name and isinstance(called, ast.Attribute):  # an object of a class in the file: as the call writes it
            return ast.unparse(called.value)
        return name or "optimizer"

    def happens_with(self, other: Event) -> bool:
        """Whether it happens whenever `other`, of the same loop, does: no branch is around it that is not around that."""
        return other.guards[: len(self.guards)] == self.guards and other.loops[: len(self.loops)] == self.loops

    def touches(self, key: str) -> bool:
        """Whether a call is given what `key` names, or something that holds it."""
        return any(key == one or key.startswith(f"{one}.") for one in self.given)


@dataclass(frozen=True, eq=False)
class Course:
    """The acts of one way through a file, from where it begins.

    Attributes:
        scope: the module, function or method that it begins in.
        events: in their order.
        kind: "" for a plain program; "lightning" or "trainer" for a method that such a framework calls.
        method: the name of that method.
        whole: whether all of it was followed; of a part nothing is said.
    """

    scope: Scope
    events: tuple[Event, ...]
    kind: str = ""
    method: str = ""
    whole: bool = True

    def all(self, *acts: Act) -> list[Event]:
        """The events that are one of these acts."""
        return [event for event in self.events if event.act in acts]


@dataclass(frozen=True, eq=False)
class FrameworkClass:
    """A class that a framework trains by: a LightningModule or a subclass of the Trainer of transformers.

    Attributes:
        kind: "lightning" or "trainer".
        scope: the class.
        methods: its own by name.
        manual: whether it turns automatic optimization off, as far as can be seen.
        plain: whether its only base is the framework's own.
    """

    kind: str
    scope: Scope
    methods: Mapping[str, Scope]
    manual: bool
    plain: bool


@dataclass(frozen=True, eq=False)
class TrainingFile:
    """All that was read of one file.

    Attributes:
        path: of the file.
        courses: the ways through it.
        classes: those that a framework trains by.
        names: every identifier that it uses.
    """

    path: str
    courses: tuple[Course, ...] = ()
    classes: tuple[FrameworkClass, ...] = ()
    names: frozenset[str] = field(default_factory=frozenset)

    def all(self, *acts: Act) -> list[Event]:
        """The events of all courses that are one of these acts."""
        return [event for course in self.courses for event in course.all(*acts)]
