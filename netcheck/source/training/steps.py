"""The loops of a file that step an optimizer, and what several rules ask of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from netcheck.source.training.calls import LOSSES
from netcheck.source.training.events import Act, Course, Event, Loop, TrainingFile
from netcheck.source.training.values import Role, Value, expressions, is_name, operation, peeled, role_of, settled

CUTS = frozenset("item detach numpy tolist".split())  # methods whose result has no graph
LEAVES = frozenset("tensor FloatTensor DoubleTensor Tensor from_numpy".split())  # of torch: what they make has none either
STEPS = frozenset("argmax argmin argsort round floor ceil sign bernoulli multinomial nonzero".split())  # nothing to differentiate
TAKES_PREDICTION_FIRST = frozenset(
    "CrossEntropyLoss NLLLoss BCELoss BCEWithLogitsLoss cross_entropy nll_loss binary_cross_entropy "
    "binary_cross_entropy_with_logits KLDivLoss kl_div".split()
)


@dataclass(frozen=True, eq=False)
class TrainingLoop:
    """A loop in which an optimizer steps, with all that happens in it; of loops in each other the innermost.

    Attributes:
        course: the way through the file that it is on.
        loop: the loop.
        events: what happens in it, also in loops inside of it.
    """

    course: Course
    loop: Loop
    events: tuple[Event, ...]

    def all(self, *acts: Act) -> list[Event]:
        """The events that are one of these acts."""
        return [event for event in self.events if event.act in acts]

    @property
    def optimizers(self) -> dict[str, Event]:
        """The optimizers that step in it, by their keys, each with its first step."""
        return {event.subject: event for event in reversed(self.all(Act.STEP))}

    @property
    def single(self) -> str:
        """The key of its only optimizer, "" where there are several."""
        keys = list(self.optimizers)
        return keys[0] if len(keys) == 1 else ""

    @property
    def models(self) -> set[str]:
        """The keys of the models that are called in it."""
        return {event.subject for event in self.all(Act.FORWARD)}

    def hides(self, *keys: str, among: list[Event] | None = None) -> bool:
        """Whether something that cannot be seen is given one of these, or the object that holds them: it may do anything."""
        calls = self.all(Act.CALL) if among is None else [event for event in among if event.act is Act.CALL]
        return any(call.touches(key) for call in calls for key in keys if key)

    def between(self, first: Event, last: Event) -> list[Event]:
        """What happens after one event and before another."""
        return list(self.events[self.events.index(first) + 1 : self.events.index(last)])


def training_loops(training: TrainingFile) -> Iterator[TrainingLoop]:
    """The loops in which backward is called and an optimizer steps; each place once."""
    seen: set[int] = set()
    for course in whole_courses(training):
        for loop in dict.fromkeys(event.loop for event in course.all(Act.STEP)):
            if loop is None or id(loop.node) in seen:
                continue
            events = tuple(event for event in course.events if loop in event.loops)
            if any(event.act is Act.BACKWARD for event in events):
                seen.add(id(loop.node))
                yield TrainingLoop(course, loop, events)


def whole_courses(training: TrainingFile) -> Iterator[Course]:
    """The courses that were followed to their end."""
    return (course for course in training.courses if course.whole)


def is_plain_optimizer(step: Event) -> bool:
    """Whether what steps is an optimizer of torch, or one that comes from outside: not an object made by unseen code, which may
    clear gradients itself.
    """
    if step.scaler:
        return True
    value = settled(step.value) if step.value is not None else None
    if role_of(value)[0] is Role.OPTIMIZER:
        return True
    if value is None or value.options:
        return False
    return value.node is None or is_name(value.node)


def losses_of(course: Course, training: TrainingFile) -> Iterator[Event]:
    """What gradients start from: backward's tensor, and what a method returns from which a framework calls backward."""
    yield from course.all(Act.BACKWARD)
    if is_automatic(course, training):
        yield from (event for event in course.all(Act.RETURN) if gives(event))


def is_automatic(course: Course, training: TrainingFile) -> bool:
    """Whether a course is a method that returns the loss, and its framework does the rest."""
    manual = any(one.manual for one in training.classes if one.scope is course.scope.parent)
    return course.method in ("training_step", "compute_loss") and not manual


def gives(event: Event) -> bool:
    """Whether a return statement returns something."""
    node = event.value.node if event.value is not None else None
    return node is not None and not (isinstance(node, ast.Constant) and node.value is None)


def returned_loss(value: Value) -> Value:
    """The loss in what such a method returns: of a dictionary its "loss", of a tuple the first, of a condition what it may be."""
    value = settled(value)
    node = value.node
    if isinstance(node, ast.Dict):
        for key, one in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "loss":
                return settled(value.of(one))
    if isinstance(node, ast.Tuple) and node.elts:
        return settled(value.of(node.elts[0]))
    if isinstance(node, ast.IfExp):
        return returned_loss(value.of(node.orelse))
    return value


def without_graph(value: Value, depth: int = 6) -> str:
    """Why no gradient leads back from a value, as words that follow "it"; "" where one may."""
    value = settled(value)
    node = value.node
    if node is None or depth == 0:
        return ""
    name = operation(value)
    if isinstance(node, ast.Attribute) and node.attr == "data":
        return "is `.data`"
    if isinstance(node, ast.Call):
        if name in CUTS and isinstance(node.func, ast.Attribute):
            return f"is the result of `.{name}()`"
        if isinstance(node.func, ast.Name) and node.func.id == "float":
            return "is a number, made by `float()`"
        if name in LEAVES:
            return f"is a new tensor, made by `torch.{name}`"
        if name in STEPS:
            return f"is the result of `{name}`, which has no derivative"
        if (name in LOSSES or name.endswith("Loss")) and (first := value.argument(0, "input")) is not None:
            second = value.argument(1, "target")
            reason = without_graph(peeled(first), depth - 1)
            if reason and second is not None and is_from_outside(second):
                return f"is a loss of what {reason}"
    if value.grad is False and isinstance(node, ast.Call | ast.BinOp):
        return "is computed where gradients are turned off"
    return ""


def is_from_outside(value: Value) -> bool:
    """Whether a value is a part of what a loop goes over, or is not known: no model has computed it."""
    node = peeled(value).node
    return node is None or is_name(node)


def carries(value: Value | None, loss: ast.expr) -> bool:
    """Whether a value is a loss, or computed from it with its graph: `loss * n`, not `loss.item() * n`."""
    if value is None:
        return False
    value = settled(value)
    node = value.node
    if node is loss:
        return True
    if isinstance(node, ast.BinOp):
        return carries(value.of(node.left), loss) or carries(value.of(node.right), loss)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("mean", "sum", "clone", "cpu"):
        return carries(value.of(node.func.value), loss)
    return False


def holds(value: Value | None, key: str) -> bool:
    """Whether a value is computed from what a key names."""
    return value is not None and any(key in names_of(one) for one in expressions(value))


def names_of(value: Value) -> set[str]:
    """The keys of the names in an expression."""
    nodes = ast.walk(value.node) if value.node is not None else ()
    return {value.key(node) for node in nodes if isinstance(node, ast.Name | ast.Attribute | ast.Subscript)}


def loss_name(value: Value | None) -> str:
    """Which loss a call computes: "CrossEntropyLoss", "cross_entropy"; "" where that is not known."""
    if value is None:
        return ""
    name = operation(value)
    if name in LOSSES or name.endswith("Loss"):
        return name
    return ""
