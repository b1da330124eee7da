"""NC108: a softmax or a norm over one element."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions import softmax_dimension
from netcheck.trace.questions.channels import channel_axis
from netcheck.trace.questions.neighbours import before, origin

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_KEEPING_SHAPE = frozenset((
    Kind.IDENTITY, Kind.CAST, Kind.SCALE, Kind.SHIFT, Kind.DROPOUT, Kind.ACTIVATION, Kind.NORM, Kind.PART,
))  # fmt: skip


class ConstantOutput(StaticRule):
    """A softmax or a normalization over a single element gives the same value whatever comes in.

    ## What it does
    Looks for a softmax or log-softmax over a dimension that a layer with one output unit
    made, and for a layer norm (also RMS norm, and normalization to unit length) over one element.

    ## Why is this bad?
    softmax(z) of one number is 1, log_softmax is 0, a layer norm gives its bias, a unit
    vector of one dimension is ±1. The gradient is exactly 0: nothing before it trains.

    ## When it is fine
    Over positions: attention scores of one unit, normalized over time, are a dimension of
    the input, even where an example has only one step.

    ## Evidence
    Exact: the number of elements that it goes over.

    ## References
    - PyTorch documentation of BCEWithLogitsLoss: one output unit for two classes.
    """

    code = "NC108"
    name = "constant-output"
    severity = Severity.ERROR
    plain = "A part of it gives the same value whatever comes in, so it can tell nothing apart"
    BAD = (
        Example(
            "softmax after a single output unit",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.Softmax(dim=1))
""",
            "8x16",
        ),
        Example(
            "log_softmax over one channel",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.mask = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 1)

    def forward(self, x):
        return F.log_softmax(self.mask(F.relu(self.conv(x))), dim=1)

model = Net()
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "a sigmoid for one unit",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
""",
            "8x16",
        ),
        Example(
            "scores normalized over the steps",
            """
class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x):
        weights = self.score(x).softmax(dim=1)
        return self.head((weights * x).sum(1))

model = Pool()
""",
            "8x5x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each sort of operation."""
        found: dict[str, list[Node]] = {}
        for node in graph:
            if node.live and node.carries and (what := constant(node)):
                found.setdefault(what, []).append(node)
        for what, nodes in found.items():
            name = softmax_dimension.name(nodes[0]) if nodes[0].kind is Kind.SOFTMAX else nodes[0].target
            yield self.finding(
                f"{name} over one element is always {what}: no gradient passes",
                help="for one unit use `torch.sigmoid`, or nothing; normalize over the dimension "
                "of the steps, classes or features",
                evidence=Evidence(1, "elements", f"{name} goes over 1 element", limit=2),
                at=nodes,
                verdict=Verdict.CONFIRMED,
            )


def constant(node: Node) -> str:
    """The value that an operation always gives; "" if it does not."""
    if node.kind is Kind.SOFTMAX:
        dim = softmax_dimension.dimension(node)
        one = softmax_dimension.size(node) == 1 and dim is not None and is_unit(node, dim)
        return ("0" if node.detail == "log" else "1") if one else ""
    if node.kind is Kind.NORM and node.detail in ("layer", "rms"):
        shape = node.option("normalized_shape", 1, None)
        sizes = (shape,) if isinstance(shape, int) else shape
        if isinstance(sizes, tuple | list) and math.prod(sizes) == 1:
            return "its bias" if node.detail == "layer" else "1 or -1"
    if node.kind is Kind.NORM and node.function == "normalize":
        dim, rank = node.argument(2, "dim", 1), len(node.shape or ())
        if isinstance(dim, int) and rank and (node.shape or ())[dim] == 1 and is_unit(node, dim % rank):
            return "1 or -1"
    return ""


def is_unit(node: Node, dim: int) -> bool:
    """Whether a dimension of size one holds the single unit of a layer, rather than a step of this
    example.
    """
    source = origin(node)
    layer = before(node, _KEEPING_SHAPE)
    if source is None or layer is None or source.shape is None or layer.shape is None:
        return False
    if layer.kind is Kind.RESHAPE:  # (N, 1), whatever is made of it: one number for each sample
        layer = before(layer, _KEEPING_SHAPE | {Kind.RESHAPE})
        if layer is None or layer.shape is None or len(layer.shape) != 2 or dim == 0:
            return False
        dim = 1
    axis, shape = channel_axis(layer), layer.shape or ()
    return axis is not None and axis % len(shape) == dim and shape[axis] == 1
