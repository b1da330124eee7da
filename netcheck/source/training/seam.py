"""The loss and the optimizer that a file trains a model with, as far as they can be made again. Imports no torch.

    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in loader:
        criterion(net(x), y).backward()      Seam(Made("torch.nn.CrossEntropyLoss"),
        optimizer.step()                          Made("torch.optim.SGD", kwargs={"lr": 0.1}), [Group("")])

What is not a constant where it is made (`lr=args.lr`) is followed to one, such as the option's default, or leaves its object out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netcheck.location import Location
from netcheck.source.locate import location
from netcheck.source.training.constants import NotConstant, constant
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.shapes import Shape, shape_of
from netcheck.source.training.steps import TrainingLoop, loss_name, training_loops
from netcheck.source.training.values import Role, Value, as_made, full_name, role_of, settled

FREEZING = frozenset("requires_grad requires_grad_ freeze unfreeze".split())  # who names one may train a part alone


@dataclass(frozen=True)
class Made:
    """A class of torch, or a function of it, with what it was given as plain data.

    Attributes:
        name: its full name: "torch.nn.CrossEntropyLoss".
        place: where it is made, or called.
        args: positional arguments; of an optimizer without the parameters, of a function without what it compares.
        kwargs: those by name.
    """

    name: str
    place: Location
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Parameters that an optimizer is given.

    Attributes:
        part: the path of the module that they are all of; "" for the whole model.
        options: of the group alone.
    """

    part: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seam:
    """What a file trains one model with.

    Attributes:
        loss: what the model's output goes into as it is; None where that is not so, or cannot be made again.
        optimizer: of the model's parameters; None likewise.
        groups: what it is given.
        own: whether backward starts from what the model returns: forward computes the loss.
        targets: the shape of what the output is compared with, as far as the file shows it.
    """

    loss: Made | None = None
    optimizer: Made | None = None
    groups: tuple[Group, ...] = ()
    own: bool = False
    targets: Shape | None = None


def seam_of(training: TrainingFile, *names: str) -> Seam | None:
    """What a file trains a model with; None where it does not, or in several ways.

    Args:
        training: the file.
        names: of the model's class, and of the variable that holds it.
    """
    found = [one for loop in training_loops(training) if (one := of_loop(loop, training, names)) is not None]
    return found[0] if len(found) == 1 else None


def of_loop(loop: TrainingLoop, training: TrainingFile, names: tuple[str, ...]) -> Seam | None:
    """What a loop trains a model with."""
    calls = {id(event.node): event for event in loop.all(Act.FORWARD) if called_in(event) & set(names)}
    keys = {event.subject for event in calls.values()}
    if len(keys) != 1:
        return None
    backward = loop.all(Act.BACKWARD)
    loss = loss_given(backward[0], calls) if len(backward) == 1 else None
    optimizer, groups = optimizer_of(loop, training, keys.pop())
    own = all(event.value is not None and id(settled(event.value).node) in calls for event in backward)
    compared = settled(backward[0].value).argument(1, "target") if loss is not None and backward[0].value is not None else None
    targets = shape_of(compared) if compared is not None else None
    return Seam(loss, optimizer, groups, own, targets) if loss is not None or optimizer is not None else None


def called_in(event: Event) -> set[str]:
    """The class of the file that is called in an event, and the variable that holds it, as far as either is known."""
    assert isinstance(event.node, ast.Call)
    held = settled(event.value.of(event.node.func)).instance if event.value is not None else ""
    return {one.partition("@")[0] for one in (event.subject, held)} - {""}


# ---- the loss --------------------------------------------------------------------------------------------------------------


def loss_given(event: Event, calls: Mapping[int, Event]) -> Made | None:
    """The loss that a backward goes back to, if that is called with a model's output as it is, and can be made again."""
    value = settled(event.value) if event.value is not None else None
    if value is None or not isinstance(value.node, ast.Call):
        return None
    first = value.argument(0, "input")
    if not loss_name(value) or first is None or id(settled(first).node) not in calls:
        return None
    try:
        return function_given(value) if full_name(value.node.func, value.scope) else object_given(value)
    except NotConstant:
        return None


def function_given(value: Value) -> Made:
    """`F.cross_entropy(out, y, label_smoothing=0.1)`.

    Raises:
        NotConstant: an option is none.
    """
    call, scope = value.node, value.scope
    assert isinstance(call, ast.Call)
    assert scope is not None
    if len(call.args) > 2:
        raise NotConstant
    return Made(full_name(call.func, scope), location(call, scope), (), dict(options(value)))


def object_given(value: Value) -> Made:
    """`nn.CrossEntropyLoss(label_smoothing=0.1)` of a call of it.

    Raises:
        NotConstant: an option is none, or it is not clear what is called.
    """
    assert isinstance(value.node, ast.Call)
    return made_again(as_made(value.of(value.node.func)))


def made_again(value: Value, skip: int = 0) -> Made:
    """An object of torch, without its first `skip` arguments.

    Raises:
        NotConstant: an argument is none, or it is no such object.
    """
    call, scope = value.node, value.scope
    if not isinstance(call, ast.Call) or scope is None or not (name := full_name(call.func, scope)).startswith("torch."):
        raise NotConstant
    args = tuple(constant(value.of(one)) for one in call.args[skip:])
    return Made(name, location(call, scope), args, dict(options(value)))


def options(value: Value) -> Iterator[tuple[str, Any]]:
    """The constants that a call is given by name, without parameters and what else is no option.

    Raises:
        NotConstant: one of them is none.
    """
    assert isinstance(value.node, ast.Call)
    for keyword in value.node.keywords:
        if keyword.arg is None:
            raise NotConstant
        if keyword.arg not in ("params", "input", "target"):
            yield keyword.arg, constant(value.of(keyword.value))


# ---- the optimizer ---------------------------------------------------------------------------------------------------------


def optimizer_of(loop: TrainingLoop, training: TrainingFile, model: str) -> tuple[Made | None, tuple[Group, ...]]:
    """The only optimizer that steps in a loop, if it is made of a model's parameters alone, once."""
    nothing: tuple[Made | None, tuple[Group, ...]] = None, ()
    key = loop.single
    values = [event.value for event in loop.course.all(Act.MAKE) if event.subject == key and event.value is not None]
    if len(values) != 1 or role_of(value := settled(values[0]))[0] is not Role.OPTIMIZER:
        return nothing
    added = any(event.subject == key for event in loop.course.all(Act.PARAMETERS))
    if added or not FREEZING.isdisjoint(training.names):
        return nothing
    given = value.argument(0, "params")
    if given is None:
        return nothing
    try:
        groups = tuple(groups_in(given, model))
        made = made_again(value, skip=1)
    except NotConstant:
        return nothing
    return nothing if len(groups) == 1 and groups[0].part else (made, groups)  # who trains one part alone means to


def groups_in(value: Value, model: str) -> Iterator[Group]:
    """The groups of parameters that an optimizer is given.

    Raises:
        NotConstant: not all are a part of the model.
    """
    value = settled(value)
    node = value.node
    if not isinstance(node, ast.List | ast.Tuple):
        yield Group(part_of(value, model))
        return
    for one in map(value.of, node.elts):
        one = settled(one)
        if not isinstance(one.node, ast.Dict):
            raise NotConstant
        entries = {constant(one.of(key)): one.of(item) for key, item in zip(one.node.keys, one.node.values, strict=True) if key}
        if "params" not in entries or len(entries) != len(one.node.keys):
            raise NotConstant
        yield Group(part_of(entries.pop("params"), model), {key: constant(item) for key, item in entries.items()})


def part_of(value: Value, model: str) -> str:
    """The path of the module whose `parameters()` an expression is.

    Raises:
        NotConstant: it is something else.
    """
    value = settled(value)
    call = value.node
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "parameters" or call.args:
        raise NotConstant
    key = value.key(call.func.value)
    if key != model and not key.startswith(f"{model}."):
        raise NotConstant
    return key.removeprefix(model).removeprefix(".")
