"""NC901: modules that PyTorch does not know of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import MODULES, Kind

if TYPE_CHECKING:
    from torch import nn

    from netcheck.trace.graph import ModelGraph, Submodule


class UnregisteredModule(StaticRule):
    """Forward runs a module that the model does not register: its parameters are not trained, moved or
    saved.

    ## What it does
    Finds the modules that forward runs and that `model.modules()` does not reach: those in a plain list,
    tuple or dict, in an attribute of an object that is no module, in a closure or a global, and those that
    forward builds itself.

    ## Why is this bad?
    `nn.Module` registers what is assigned to it directly. What it does not know is missing from
    `model.parameters()`, so the optimizer never changes it; from `model.to(device)`; from
    `model.state_dict()`, so a saved model comes back with other random weights; and from `model.eval()`, so
    its dropout stays on. Nothing says so: the model runs, and even learns, around layers that stay random. A
    layer that forward builds has new random weights in every pass.

    ## When it is fine
    For a frozen network that is hidden on purpose, so that it is not saved (a teacher, a perceptual loss):
    set `requires_grad_(False)`, and netcheck only mentions it. For modules without parameters, buffers and
    modes (`nn.ReLU`). For lists of modules that are registered elsewhere too. What the first call of forward
    builds and registers, and further calls use, is information.

    ## Evidence
    The number of parameters that forward uses and that `model.parameters()` does not list.

    ## References
    - PyTorch documentation of nn.ModuleList and nn.ModuleDict.
    """

    code = "NC901"
    name = "unregistered-module"
    severity = Severity.ERROR
    plain = "Some of its layers are hidden from PyTorch: they are not trained, moved or saved"
    fixable = Fixable(
        "hold the modules in an `nn.ModuleList` or `nn.ModuleDict`, or the object in an nn.Module",
        safe=True,
        note="a checkpoint gets their names",
    )
    BAD = (
        Example(
            "layers in a list",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(16, 16) for _ in range(3)]
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "nn.ModuleList and nn.ModuleDict",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
        self.heads = nn.ModuleDict({"label": nn.Linear(16, 4)})

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.heads["label"](x)

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each attribute that hides modules; the same attribute of several blocks is one."""
        groups: dict[tuple[str, Severity], list[Hidden]] = {}
        for hidden in hidden_modules(graph):
            if (severity := hidden.severity) is not None:
                groups.setdefault((attribute(hidden.top.path), severity), []).append(hidden)
        for (_, severity), group in groups.items():
            size = sum(hidden.size for hidden in group)
            yield self.finding(
                message(group),
                help=cure(group[0]),
                evidence=Evidence(size, "elements", f"{size:,} weights that forward uses are not the model's own", limit=0),
                at=[hidden.top for hidden in group],
                severity=severity,
                verdict=Verdict.CONFIRMED,
            )


@dataclass(frozen=True, slots=True)
class Hidden:
    """A module that PyTorch does not know of, with all that it holds.

    Attributes:
        trainable: parameters (in elements) that ask for a gradient and that no registered module holds too.
        size: all elements of parameters and buffers that no registered module holds too.
        has_mode: whether anything in it is in training mode, and acts otherwise in eval mode.
        frozen: whether forward runs it without gradients only.
        adopted: whether the first call of forward builds and registers it.
    """

    top: Submodule
    trainable: int
    size: int
    has_mode: bool
    frozen: bool
    adopted: bool

    @property
    def severity(self) -> Severity | None:
        """None if nothing is lost by not registering it."""
        if self.trainable:
            return Severity.INFO if self.frozen or self.adopted else Severity.ERROR
        if self.has_mode:
            return Severity.WARNING
        return Severity.INFO if self.size else None


def hidden_modules(graph: ModelGraph) -> Iterator[Hidden]:
    """The outermost unregistered modules that forward runs."""
    outside = {id(submodule.module): submodule for submodule in graph.submodules if not submodule.registered}
    if not outside:
        return
    known = {id(member.tensor) for member in graph.members if member.registered}
    read = {id(member.tensor) for member in graph.members if member.nodes}
    paths = {submodule.path for submodule in outside.values()}
    for top in outside.values():
        if has_ancestor(top.path, paths):
            continue
        parts = [outside[id(module)] for module in top.module.modules() if id(module) in outside]
        tensors = [t for t in (*top.module.parameters(), *top.module.buffers()) if id(t) not in known]
        if any(part.called for part in parts) or any(id(tensor) in read for tensor in tensors):
            nodes = [node for part in parts for node in part.nodes]
            yield Hidden(
                top,
                trainable=sum(t.numel() for t in tensors if t.requires_grad),
                size=sum(t.numel() for t in tensors),
                # Dropout that forward builds is always on: that is another rule's finding.
                has_mode="<" not in top.path and any(is_in_training(part.module) for part in parts),
                frozen=bool(nodes) and not any(node.grad_enabled for node in nodes),
                adopted=id(top.module) in graph.recording.adopted,
            )


def has_ancestor(path: str, paths: set[str]) -> bool:
    """Whether another of `paths` holds `path`."""
    return any(path[: match.start()] in paths for match in re.finditer(r"[.\[]", path))


def is_in_training(module: nn.Module) -> bool:
    """Whether a module is dropout, or a norm with running statistics, in training mode."""
    kind, detail = MODULES.get(type(module).__name__, (None, ""))
    active = (kind is Kind.DROPOUT and getattr(module, "p", 1) > 0) or (kind is Kind.NORM and detail == "batch")
    return active and module.training


def message(group: list[Hidden]) -> str:
    """What is hidden where, and what follows."""
    from netcheck.trace.node import class_name

    what = class_name(type(group[0].top.module)) + (f" and {len(group) - 1} more" if len(group) > 1 else "")
    where = place(group[0].top.path)
    if all(hidden.adopted for hidden in group):
        return f"{what} is built by the first call of forward: an optimizer that was made before does not train it"
    if any(hidden.trainable for hidden in group):
        return f"{what} {where}: forward uses its parameters, and they are not trained, moved or saved"
    if any(hidden.has_mode for hidden in group):
        return f"{what} {where}: train() and eval() do not reach it"
    return f"{what} {where}: forward uses it, and it is not moved or saved"


def place(path: str) -> str:
    """Where an unregistered module is: "in the plain list `layers`"."""
    name = path.partition("[")[0]
    if "<" in path:
        return "is built in forward, or kept outside the model"
    if "[" not in path:
        return f"is held by `{name.rpartition('.')[0]}`, which is no module"
    sort = "dict" if re.search(r"\[['\"]", path) else "list or tuple"
    return f"is held in the plain {sort} `{name}`"


def cure(hidden: Hidden) -> str:
    """What to write instead."""
    if hidden.adopted:
        return "call the model once before the optimizer is made, or use a lazy module, such as nn.LazyLinear"
    return f"{remedy(hidden.top.path)}; if it is frozen on purpose, `requires_grad_(False)` says so"


def remedy(path: str) -> str:
    """How a module is registered."""
    if "<" in path:
        return "build it in __init__ and assign it to self"
    if "[" not in path:
        return "make the class of that object a subclass of nn.Module (`super().__init__()` comes first)"
    container = "nn.ModuleDict" if re.search(r"\[['\"]", path) else "nn.ModuleList"
    return f"wrap it: `self.{path.partition('[')[0].rpartition('.')[2]} = {container}(...)`"


def attribute(path: str) -> str:
    """The attribute that hides a module, for all blocks: "blocks.*.heads" for blocks.3.heads['a']."""
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1*", path.partition("[")[0])
