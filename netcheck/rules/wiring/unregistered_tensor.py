"""NC906: tensors that PyTorch does not know of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule

if TYPE_CHECKING:
    from netcheck.trace.graph import Member, ModelGraph, Node

_MOVES = frozenset(("to", "type_as", "cuda"))


class UnregisteredTensor(StaticRule):
    """Forward uses a tensor that is neither parameter nor buffer: `.to(device)` does not move it, and
    nothing saves it.

    ## What it does
    Finds the tensors that forward reads from the model's attributes, lists and dicts, and that are
    registered nowhere.

    ## Why is this bad?
    A plain tensor stays on the CPU when the model moves, so that forward fails on the first GPU; it is
    missing from the state dict. One that asks for a gradient is worse: `nn.Parameter`s in a Python list and
    tensors made with `requires_grad=True` are not in `model.parameters()`. No optimizer changes them, and
    nothing says so.

    ## When it is fine
    A single number: PyTorch combines it with tensors of any device. A tensor that forward itself moves
    (`self.mask.to(x.device)`), or that only selects rows (`x[self.order]`).

    ## Evidence
    The elements that forward uses and that `model.state_dict()` does not hold.

    ## References
    - PyTorch documentation of nn.Module.register_buffer and of nn.ParameterList.
    """

    code = "NC906"
    name = "unregistered-tensor"
    severity = Severity.ERROR
    plain = "It uses a tensor that PyTorch does not know to be its own, which is not moved, saved or trained with it"
    fixable = Fixable("register the tensor: `register_buffer(..., persistent=False)`, or an `nn.Parameter`", safe=True)
    BAD = (
        Example(
            "a constant as a plain attribute",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x - self.mean).mean((2, 3))

model = Net()
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "a buffer",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x - self.mean).mean((2, 3))

model = Net()
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each attribute that hides tensors; the same attribute of several blocks is one."""
        groups: dict[tuple[str, bool], list[Member]] = {}
        for member in hidden_tensors(graph):
            groups.setdefault((attribute(member.path), member.tensor.requires_grad), []).append(member)
        for (_, learns), group in groups.items():
            size, name = sum(member.tensor.numel() for member in group), group[0].path
            others = f" and {len(group) - 1} more" if len(group) > 1 else ""
            yield self.finding(
                f"forward uses `{name}`{others}, " + consequence(group[0]),
                help=cure(group[0]),
                evidence=Evidence(
                    size,
                    "elements",
                    f"{size:,} elements that forward uses are not in model.state_dict()",
                    limit=0,
                ),
                at=group,
                severity=Severity.ERROR if learns else Severity.WARNING,
                verdict=Verdict.CONFIRMED,
            )


def hidden_tensors(graph: ModelGraph) -> Iterator[Member]:
    """The unregistered tensors that forward reads, but for those of unregistered modules."""
    outside = tuple(f"{s.path}." for s in graph.submodules if not s.registered)
    # Where nothing has to be moved, x.to(device) is x: the call is recorded, and what follows uses x.
    moved = {node.inputs[0] for node in graph if node.inputs and is_moved(node)}
    for member in graph.members:
        if not member.registered and not member.path.startswith(outside):
            used = [node for node in member.nodes if node in graph.used]
            if member.tensor.requires_grad:
                needs = bool(used)
            else:
                needs = member.tensor.dim() > 0 and any(is_combined(n) for n in used if n not in moved)
            if needs:
                yield member


def is_moved(node: Node) -> bool:
    """Whether an operation gives its input on another device."""
    return node.function in _MOVES or (node.function == "as_tensor" and "device" in node.fx.kwargs)


def is_combined(node: Node) -> bool:
    """Whether a tensor meets others of the model's device in an operation, and not only as an index."""
    return any(user.function != "getitem" or user.inputs[0] is node for user in node.users)


def consequence(member: Member) -> str:
    """What follows from a tensor's not being registered."""
    if not member.tensor.requires_grad:
        return "a plain tensor: model.to(device) does not move it"
    if not member.tensor.is_leaf:
        return "computed from parameters once, in the constructor: it does not follow when they train"
    return "which is not in model.parameters(): no optimizer trains it"


def cure(member: Member) -> str:
    """What to write instead."""
    name = re.split(r"\[", member.path, maxsplit=1)[0].rpartition(".")[2]
    if not member.tensor.requires_grad:
        return f"`self.register_buffer('{name}', tensor)`; with persistent=False it is moved and not saved"
    if not member.tensor.is_leaf:
        return "compute it in forward, from the parameters as they are then"
    if "[" in member.path:
        container = "nn.ParameterDict" if re.search(r"\[['\"]", member.path) else "nn.ParameterList"
        return f"wrap it: `self.{name} = {container}(...)`"
    return f"`self.{name} = nn.Parameter(...)`, in a class that is an nn.Module"


def attribute(path: str) -> str:
    """The attribute that hides a tensor, one for all blocks of a list: "blocks.*.mask" for blocks.3.mask."""
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1*", path.partition("[")[0])
