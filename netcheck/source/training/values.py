"""What a name holds at a place of a program, as far as its syntax tells: the expression that it was given, with what the names in
that held then.

    out = model(x)                    Value(model(x))
    prob = F.softmax(out, dim=1)      Value(F.softmax(out, dim=1), names={"out": Value(model(x))})
    criterion(prob.squeeze(), y)      peeled(first argument) is the softmax, operation() of which is "softmax"
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto

from netcheck.source.builders import dotted, file_index
from netcheck.source.scopes import Scope

DEEPEST = 40  # values that are followed from one to the next


class Role(StrEnum):
    """What an object is in a training step."""

    OPTIMIZER = auto()
    SCHEDULER = auto()
    SCALER = auto()
    CRITERION = auto()
    MODEL = auto()
    LOADER = auto()
    SAMPLER = auto()


OPTIMIZER_HOMES = ("torch_optimizer.", "transformers.", "apex.optimizers.", "bitsandbytes.", "timm.optim.", "pytorch_optimizer.")
OPTIMIZERS = frozenset(
    "Adam AdamW SGD RMSprop Adagrad Adadelta Adamax NAdam RAdam Adafactor FusedAdam FusedSGD Lamb Lion".split()
)
MODEL_MAKERS = ("torchvision.models.", "timm.create_model", "torch.hub.load", "segmentation_models_pytorch.")
WRAPPERS = (
    "torch.compile",
    "torch.nn.DataParallel",
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
    "torch.nn.parallel.DataParallel",
    "torch.nn.parallel.DistributedDataParallel",
    "apex.parallel.DistributedDataParallel",
)
SAMPLERS = ("torch.utils.data.distributed.DistributedSampler", "torch.utils.data.DistributedSampler")
SAME_OBJECT = frozenset("to cuda cpu half float double bfloat16 train eval requires_grad_ type apply".split())  # of a module
SAME_NUMBERS = frozenset(
    "view view_as reshape reshape_as squeeze unsqueeze flatten contiguous permute transpose t float double half to cuda cpu type "
    "clone type_as requires_grad_ expand".split()
)  # of a tensor: what comes out has the same numbers, and a gradient


@dataclass(frozen=True, eq=False)
class Value:
    """What an expression gives at a place.

    Attributes:
        node: the expression; None where several ways meet, or nothing is known.
        scope: where it stands.
        names: the values of the names in it, by `Value.key`, and of the calls in it whose functions were followed.
        keys: what the names in it stand for, by their source.
        options: the values that it may be, where several ways meet.
        result: what the function returned that was followed.
        instance: the key of the object that a class of the file made.
        part_of: what it is an item or a part of: of a loader, for a loop's variable.
        place: which part: its number.
        grad: whether gradients were recorded; None if that cannot be told.
        order: how many events were before it.
    """

    node: ast.expr | None = None
    scope: Scope | None = None
    names: Mapping[str, Value] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    options: tuple[Value, ...] = ()
    result: Value | None = None
    instance: str = ""
    part_of: Value | None = None
    place: int = -1
    grad: bool | None = True
    order: int = 0

    def of(self, expression: ast.expr) -> Value:
        """The value of an expression inside of this one."""
        found = self.names.get(self.keys.get(spelled(expression), "")) if is_name(expression) else None
        found = found or self.names.get(called(expression))
        return found or replace(self, node=expression, options=(), result=None, instance="", part_of=None)

    def key(self, expression: ast.expr) -> str:
        """The key of a name inside of this value, "" for anything else."""
        return self.keys.get(spelled(expression), "") if is_name(expression) else ""

    @property
    def is_known(self) -> bool:
        """Whether it is one expression."""
        return self.node is not None

    def argument(self, place: int, *names: str) -> Value | None:
        """An argument of a call, by its place or one of its names."""
        call = self.node
        if not isinstance(call, ast.Call) or any(isinstance(one, ast.Starred) for one in call.args):
            return None
        if place < len(call.args):
            return self.of(call.args[place])
        return next((self.of(one.value) for one in call.keywords if one.arg in names), None)

    def keyword(self, name: str) -> ast.expr | None:
        """The expression that a call is given under a name."""
        keywords = self.node.keywords if isinstance(self.node, ast.Call) else []
        return next((one.value for one in keywords if one.arg == name), None)


def is_name(expression: ast.expr) -> bool:
    """Whether an expression may be a key: a name, an attribute, an item."""
    return isinstance(expression, ast.Name | ast.Attribute | ast.Subscript)


def spelled(expression: ast.expr) -> str:
    """A name, an attribute or a constant item as text; "" for anything else."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        base = spelled(expression.value)
        return f"{base}.{expression.attr}" if base else ""
    if isinstance(expression, ast.Subscript) and isinstance(expression.slice, ast.Constant):
        base = spelled(expression.value)
        return f"{base}[{expression.slice.value!r}]" if base else ""
    return ""


def called(expression: ast.expr) -> str:
    """The key of what a call in an expression returned."""
    return f"#{id(expression)}"


def full_name(expression: ast.expr, scope: Scope | None) -> str:
    """What an imported name stands for: "torch.nn.functional.softmax" for `F.softmax`; "" for what is not imported."""
    first, dot, rest = dotted(expression).partition(".")
    known = file_index(scope).imports.get(first, "") if scope is not None and first else ""
    return f"{known}{dot}{rest}" if known else ""


def forward_of(value: Value) -> Iterator[Value]:
    """A value, and what it is one after the other: of a name what that holds, of a followed call what it returned."""
    for _ in range(DEEPEST):
        yield value
        if value.result is not None:
            value = value.result
        elif value.node is not None and is_name(value.node) and (found := value.of(value.node)).node is not value.node:
            value = found
        else:
            return


def settled(value: Value) -> Value:
    """The expression that a value goes back to."""
    last = value
    for one in forward_of(value):
        last = one
    return last


def peeled(value: Value) -> Value:
    """The same without what leaves the numbers alone: views, copies, moves."""
    for _ in range(DEEPEST):
        value = settled(value)
        call = value.node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in SAME_NUMBERS:
            return value
        if full_name(call.func, value.scope).startswith("torch."):
            if not call.args:
                return value
            value = value.of(call.args[0])
        else:
            value = value.of(call.func.value)
    return value


def operation(value: Value) -> str:
    """What a call does: "softmax" for `F.softmax(x)` and `x.softmax(1)`, "Softmax" for a called `nn.Softmax`; else ""."""
    call = value.node
    if not isinstance(call, ast.Call):
        return ""
    name = full_name(call.func, value.scope)
    if name:
        return name.rpartition(".")[2] if name.startswith("torch.") else ""
    made_by = as_made(value.of(call.func))
    maker = made_by.node
    if isinstance(maker, ast.Call) and maker is not call:
        made = full_name(maker.func, made_by.scope)
        return made.rpartition(".")[2] if made.startswith("torch.nn.") else ""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def as_made(value: Value) -> Value:
    """What makes a module, without what moves it or sets its mode: `nn.Softmax(1)` of `nn.Softmax(1).cuda()`."""
    for _ in range(DEEPEST):
        value = settled(value)
        call = value.node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in SAME_OBJECT:
            break
        if full_name(call.func, value.scope):
            break
        value = value.of(call.func.value)
    return value


def role_of(value: Value | None, depth: int = DEEPEST) -> tuple[Role | None, str]:
    """What an object is, and the class that it is of: (OPTIMIZER, "SGD")."""
    if value is None or depth <= 0:
        return None, ""
    value = settled(value)
    if value.options:
        return common([role_of(one, depth - 1) for one in value.options])
    call = value.node
    if isinstance(call, ast.IfExp):
        return common([role_of(value.of(one), depth - 1) for one in (call.body, call.orelse)])
    if not isinstance(call, ast.Call):
        return None, ""
    name = full_name(call.func, value.scope)
    if name in WRAPPERS and call.args:
        return role_of(value.of(call.args[0]), depth - 1)
    if name:
        return role_by_name(name)
    if value.instance:
        return None, ""
    if isinstance(call.func, ast.Attribute) and call.func.attr in SAME_OBJECT:
        return role_of(value.of(call.func.value), depth - 1)
    return None, ""


def common(roles: list[tuple[Role | None, str]]) -> tuple[Role | None, str]:
    """The role that all have of which one is known."""
    known = [one for one in roles if one[0] is not None]
    if not known or any(one[0] is not known[0][0] for one in known):
        return None, ""
    names = {name for _, name in known}
    return known[0][0], names.pop() if len(names) == 1 and len(known) == len(roles) else ""


def role_by_name(name: str) -> tuple[Role | None, str]:
    """What a call of a class or function makes, by its full name."""
    last = name.rpartition(".")[2]
    if name.startswith("torch.optim.lr_scheduler."):
        return Role.SCHEDULER, last
    if name.startswith("torch.optim.") and last[:1].isupper():
        return Role.OPTIMIZER, last
    if last in OPTIMIZERS and name.startswith(OPTIMIZER_HOMES):
        return Role.OPTIMIZER, last
    if name.startswith("torch.") and last == "GradScaler":
        return Role.SCALER, last
    if name.startswith("torch.nn.") and last.endswith("Loss"):
        return Role.CRITERION, last
    if name.startswith("torch.utils.data.") and last == "DataLoader":
        return Role.LOADER, last
    if name in SAMPLERS:
        return Role.SAMPLER, last
    if (name.startswith("torch.nn.") and last[:1].isupper() and last != "Parameter") or name.startswith(MODEL_MAKERS):
        return Role.MODEL, last
    if name.startswith("transformers.") and last == "from_pretrained" and "Model" in name:
        return Role.MODEL, ""
    return None, ""


def expressions(value: Value, seen: set[int] | None = None) -> Iterator[Value]:
    """A value and all that went into it, names followed: calls, operators, constants."""
    seen = set() if seen is None else seen
    pending = [value]
    while pending and len(seen) < 2000:
        one = pending.pop()
        mark = id(one.node) if one.node is not None else id(one)
        if mark in seen:
            continue
        seen.add(mark)
        yield one
        pending += one.options
        if one.result is not None:
            pending.append(one.result)
        if one.part_of is not None:
            pending.append(one.part_of)
        if one.node is None or one.result is not None:
            continue
        if is_name(one.node):
            found = one.of(one.node)
            if found.node is not one.node:
                pending.append(found)
                continue
        pending += [one.of(child) for child in ast.iter_child_nodes(one.node) if isinstance(child, ast.expr)]
        if isinstance(one.node, ast.Call):
            pending += [one.of(each.value) for each in one.node.keywords]
