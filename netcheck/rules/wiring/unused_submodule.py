"""NC902: submodules that forward never runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.source.weak import cached_by_class
from netcheck.trace.kinds import MODULES, Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Submodule

# Access by a name that is computed: what the code mentions does not tell what it uses.
_INDIRECT = frozenset(("getattr", "children", "named_children", "modules", "named_modules", "_modules", "get_submodule"))
_PREPARING = ("__init__", "init", "_init", "reset", "_reset")  # methods that touch a module without using it


class UnusedSubmodule(StaticRule):
    """A submodule is registered and never used: it costs memory, and usually a line of forward is missing.

    ## What it does
    Finds the submodules that no forward ran and whose weights nothing read. If no method but the constructor
    mentions the submodule, it was forgotten: a warning. If some method does, another branch or another
    method may use it: information, if it has parameters.

    ## Why is this bad?
    A layer that was built and forgotten is not the model that was meant: a normalization or a projection
    that one believes in and that does nothing. Its parameters are saved, moved and counted; the optimizer
    finds no gradient for them, and DistributedDataParallel waits for those gradients and stops with an
    error.

    ## When it is fine
    Heads that only training or only evaluation uses, experts that got no token, modules for another method
    than forward (`generate`, `encode`): a method mentions all of these. A backbone whose classifier is not
    used: replace it by `nn.Identity()`.

    ## Evidence
    The parameters that did not take part, of all.

    ## References
    - PyTorch documentation of DistributedDataParallel: find_unused_parameters.
    """

    code = "NC902"
    name = "unused-submodule"
    severity = Severity.WARNING
    plain = "A layer is built and never used"
    BAD = (
        Example(
            "a layer that forward forgets",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.fc3(F.relu(self.fc1(x)))

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "all is used",
            """
model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
""",
            "8x16",
        ),
        Example(
            "weights that are used without a call",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return F.linear(F.relu(self.body.forward(x)), self.head.weight, self.head.bias)

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the submodules that were forgotten, one for those that something may use."""
        forgotten: list[Submodule] = []
        elsewhere: list[Submodule] = []
        for submodule in unused(graph):
            if not is_mentioned(graph, submodule.path):
                forgotten.append(submodule)
            elif own_parameters(graph, [submodule]):
                elsewhere.append(submodule)
        weighty = [submodule for submodule in forgotten if own_parameters(graph, [submodule])]
        weightless = [s for s in forgotten if s not in weighty and not is_passive(s)]
        if weighty:
            yield self.report(graph, weighty, "never runs, and no method mentions it", Severity.WARNING)
        if weightless:
            yield self.report(graph, weightless, "never runs, and no method mentions it", Severity.INFO)
        if elsewhere:
            yield self.report(graph, elsewhere, "did not run in this pass", Severity.INFO)

    def report(self, graph: ModelGraph, unused: list[Submodule], fact: str, severity: Severity) -> Finding:
        """The finding for some unused submodules."""
        from netcheck.trace.node import class_name

        first, others = unused[0], f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        idle, total = own_parameters(graph, unused), sum(p.numel() for p in graph.model.parameters())
        return self.finding(
            f"`{first.path}`, {class_name(type(first.module))},{others} {fact}",
            help="call it in forward, or remove it; a part of a backbone that is not wanted can be replaced: "
            f"`model.{first.path} = nn.Identity()`",
            evidence=Evidence(idle, "parameters", f"{idle:,} of {total:,} parameters take no part", limit=0),
            at=unused,
            severity=severity,
            verdict=Verdict.CONFIRMED,
        )


def unused(graph: ModelGraph) -> Iterator[Submodule]:
    """The outermost registered submodules that hold nothing that ran or was read."""
    used: set[str] = set()
    busy = [s.path for s in graph.submodules if s.called or not s.registered]
    busy += [member.path.rpartition(".")[0] for member in graph.members if member.nodes]
    for path in busy:
        while path and path not in used:
            used.add(path)
            path = path.rpartition(".")[0]
    for submodule in graph.submodules:
        path = submodule.path
        parent = path.rpartition(".")[0]
        if submodule.registered and path and path not in used and (not parent or parent in used):
            yield submodule


def own_parameters(graph: ModelGraph, submodules: list[Submodule]) -> int:
    """The elements of trainable parameters that only these submodules hold."""
    inner = {id(module) for submodule in submodules for module in submodule.module.modules()}
    outer = (s.module for s in graph.submodules if id(s.module) not in inner)
    shared = {id(p) for module in outer for p in module._parameters.values()}
    own = {id(p): p for s in submodules for p in s.module.parameters() if p.requires_grad and id(p) not in shared}
    return sum(p.numel() for p in own.values())


def is_passive(submodule: Submodule) -> bool:
    """Whether a module without weights computes nothing: a loss, an identity."""
    kinds = {MODULES.get(type(module).__name__, (None,))[0] for module in submodule.module.modules()}
    return not kinds - {None, Kind.LOSS, Kind.IDENTITY}


def is_mentioned(graph: ModelGraph, path: str) -> bool:
    """Whether a method other than the constructor names the submodule, in its holder's class or above."""
    names = path.split(".")
    parents = [graph.model]
    for name in names[:-1]:
        parents.append(parents[-1]._modules[name])  # type: ignore[arg-type]
    nearest = True
    for parent, name in zip(parents[::-1], names[::-1], strict=True):
        cls: type = type(parent)
        mentioned = names_in(cls)
        if name in mentioned or (nearest and mentioned & _INDIRECT):
            return True
        nearest = nearest and not mentioned  # containers have no code of their own: their owner decides
    return False


@cached_by_class
def names_in(cls: type) -> frozenset[str]:
    """Every attribute and string in the methods of a user's class, except those that only prepare it."""
    found: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] not in ("torch", "builtins", "abc", "typing"):
            for name, value in vars(base).items():
                if not name.startswith(_PREPARING):
                    for function in functions_in(value):
                        found |= names_in_code(function.__code__)
    return frozenset(found)


def functions_in(value: Any) -> Iterator[FunctionType]:
    """The functions behind a method, property, static or decorated method."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, property):
            pending += [value.fget, value.fset]
        elif isinstance(value, staticmethod | classmethod):
            pending.append(value.__func__)
        elif isinstance(value, FunctionType):
            yield value
            pending.append(getattr(value, "__wrapped__", None))


def names_in_code(code: CodeType) -> set[str]:
    """The names and strings that a function, and those inside it, mention."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names_in_code(constant)
        elif isinstance(constant, str):
            found.add(constant)
    return found
