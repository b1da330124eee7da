"""NC708: tensors that forward makes on a fixed device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.source.written_out import is_worked_out, may_be_moved

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

# Functions that make a tensor where they are told to, which is the CPU if nobody says anything.
_FACTORIES = frozenset((
    "zeros", "ones", "full", "empty", "arange", "linspace", "logspace", "eye", "rand", "randn", "randint", "randperm",
    "tensor", "as_tensor", "from_numpy", "range", "tril_indices", "triu_indices", "hann_window", "hamming_window",
))  # fmt: skip
# Operations that take a tensor to where another one is, or that do not mind where it is.
_MOVES = frozenset(("to", "type_as", "cuda", "cpu", "copy", "set_item", "set_attribute", "index_put", "item", "tolist"))


def net(expression: str) -> str:
    """A model with one layer, whose output `h` this expression turns into the result."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.register_buffer("scale", torch.linspace(0, 1, 8))

    def forward(self, x):
        h = self.layer(x)
        return {expression}

model = Net()
"""


class FixedDevice(StaticRule):
    """A tensor that forward makes stays on the CPU, and meets the model's own.

    ## What it does
    Follows what forward makes with `torch.zeros`, `torch.arange` and the like without `device=`, or with a device that is
    written out as text, to the first operation that puts it together with the input or the parameters without moving it
    there. Indices may stay on the CPU, and so may tensors without dimensions.

    ## Why is this bad?
    On an accelerator forward raises "Expected all tensors to be on the same device". With a device written out ("cuda:0")
    it works there, and fails on the second one under `nn.DataParallel`.

    ## When it is fine
    With `torch.set_default_device`, or within `with torch.device(...)`, which reach what is made without a device.

    ## Evidence
    The operations that such a tensor meets the model's own in.

    ## References
    - PyTorch, CUDA semantics: "operations on tensors on different devices will raise an error".
    """

    code = "NC708"
    name = "fixed-device"
    severity = Severity.WARNING
    plain = "A tensor stays on the CPU while the model is elsewhere"
    fixable = Fixable("make the tensor where the input is: `device=x.device`", safe=True)
    BAD = (
        Example("zeros where nobody said", net("h + torch.zeros(8)"), "2x8"),
        Example("a device written out", net('h * torch.arange(8, device="cpu")'), "2x8"),
    )
    GOOD = (
        Example("where the input is", net("h + torch.zeros(8, device=x.device)"), "2x8"),
        Example("made like the input", net("h + x.new_zeros(8) + torch.ones_like(x)"), "2x8"),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """Tensors from factories that meet others without having been moved."""
        found = {node: meets for node in graph if is_fixed(node) and (meets := meeting(node)) is not None}
        if not found:
            return
        first, meets = next(iter(found.items()))
        yield self.finding(
            f"{first.target} makes a tensor on the CPU, which {meets.target} puts together with the model's own",
            help="make it where the input is (device=x.device, x.new_zeros(...)), or register it as a buffer",
            evidence=Evidence(
                len(found), "tensors", f"{len(found)} tensor{'s' if len(found) > 1 else ''} made on a fixed device", limit=0
            ),
            at=found,
            places=[each.called_at for each in found.values()],
            verdict=Verdict.CONFIRMED,
        )


def is_fixed(node: Node) -> bool:
    """Whether a node makes a tensor with dimensions and without regard to where others are."""
    if node.op != "call_function" or node.function not in _FACTORIES or node.depends or not node.shape:
        return False
    device = node.fx.kwargs.get("device")
    if any(source.op != "get_attr" for source in node.inputs):
        return False  # made from another tensor, whose place it may have
    if device is None:
        return not may_be_moved(node.called_at)
    return isinstance(device, str) and device != "meta" and not is_worked_out(node.called_at, "device")


def meeting(node: Node) -> Node | None:
    """The first operation that puts the tensor together with the input or parameters; None if it is moved, or only indexes."""
    # A tensor that is moved to where it already is comes back itself: forward goes on with it, past the move.
    moved = {source for other in node.graph if other.function in _MOVES for source in other.inputs[:1]}
    pending, met = [node], {node}
    while pending:
        each = pending.pop(0)
        if each in moved:
            continue
        for user in each.users:
            if user.function in _MOVES or user.op == "output" or user in met:
                continue
            if user.function in ("getitem", "index_select", "gather", "take_along_dim") and user.inputs[0] is not each:
                continue  # as an index
            if user.kind == "embedding" or user.module is not None or any(is_placed(other) for other in user.inputs):
                return user
            met.add(user)
            pending.append(user)
    return None


def is_placed(node: Node) -> bool:
    """Whether a value is on the model's device: it comes from the input or from the model."""
    return (node.depends or node.kind == "parameter" or node.op == "get_attr") and node.shape is not None
