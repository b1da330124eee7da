"""NC917: a view that makes several rows of one sample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions import batch_dimension

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_KEEPING = frozenset(
    (Kind.ACTIVATION, Kind.POOL, Kind.NORM, Kind.DROPOUT, Kind.POINTWISE, Kind.IDENTITY, Kind.CAST, Kind.PART, Kind.ADD)
)


def net(expression: str, inputs: int) -> str:
    """A convolution whose maps `h` (N, 4, 6, 6) this expression makes vectors of."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear({inputs}, 10)

    def forward(self, x):
        h = self.conv(x).relu()
        return self.head({expression})

model = Net()
"""


class SplitSamples(StaticRule):
    """A view with -1 for the batch makes several rows of each sample, and as many results: the number beside it is too small.

    ## What it does
    Looks at views and reshapes of feature maps (N, C, H, W) as (-1, K). Where a sample has more than K numbers, it becomes
    several rows. It is said where these rows are still apart in a result of forward.

    ## Why is this bad?
    A sample of 16 maps of 20x20 viewed as (-1, 400) is 16 samples of one map each: nothing raises here, and the loss complains of
    another batch size ("Expected input batch_size (64) to match target batch_size (4)"), or, if it is one that broadcasts, does
    not. The images are larger than those that the layer was written for.

    ## When it is fine
    Where maps, windows or patches are judged one by one on purpose.

    ## Evidence
    How many rows a sample becomes.

    ## References
    - PyTorch documentation of torch.Tensor.view: a size of -1 is inferred from the other dimensions.
    """

    code = "NC917"
    name = "split-samples"
    severity = Severity.WARNING
    plain = "It makes several rows of one sample, and a result for each"
    depends_on_size = True
    BAD = (Example("a size for smaller images", net("h.view(-1, 4 * 3 * 3)", 36), "2x3x8x8"),)
    GOOD = (
        Example("all numbers of a sample", net("h.view(-1, 4 * 6 * 6)", 144), "2x3x8x8"),
        Example("one row for each channel", net("h.flatten(2).mean(2)", 4), "2x3x8x8"),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the first such view."""
        for node in graph:
            rows = rows_of_a_sample(node)
            if rows < 2 or not reaches_result(node):
                continue
            before, after = node.inputs[0].shape or (), node.shape or ()
            yield self.finding(
                f"{node.target} of {before} as (-1, {after[1]}) makes {rows} rows of each sample: {after[0]} results for a batch "
                f"of {before[0]}",
                help=f"keep the batch: x.flatten(1), and nn.Linear({rows * after[1]}, ...) behind it; or pool the maps to one "
                "size before: nn.AdaptiveAvgPool2d",
                evidence=Evidence(rows, "rows", f"a sample has {rows * after[1]} numbers, a row {after[1]}", limit=1),
                at=[node],
                verdict=Verdict.CONFIRMED,
            )
            return


def rows_of_a_sample(node: Node) -> int:
    """How many rows a view, with -1 for their number, makes of each sample's feature maps; 0 if it is no such view."""
    if node.function not in ("view", "reshape") or not node.live or not node.depends or len(node.shape or ()) != 2:
        return 0
    source = node.inputs[0]
    before, after, first = source.shape or (), node.shape or (), node.argument(1, "shape")
    first = first[0] if isinstance(first, tuple | list) and first else first
    if first != -1 or len(before) < 3 or not is_made_of_maps(source) or after[0] % before[0]:
        return 0
    return after[0] // before[0]


def is_made_of_maps(node: Node) -> bool:
    """Whether a value is the maps of a convolution, batch and channels in front."""
    while node.kind in _KEEPING and node.inputs:
        node = node.inputs[0]
    return node.kind is Kind.CONV and batch_dimension.follow(node) is not None


def reaches_result(node: Node) -> bool:
    """Whether the rows of a value come to be rows of a result of forward."""
    rows = (node.shape or (0,))[0]
    pending, seen = [node], {node}
    while pending:
        for user in pending.pop().users:
            if user.op == "output":
                return True
            if user not in seen and (user.shape or (0,))[0] == rows:
                seen.add(user)
                pending.append(user)
    return False
