"""NC406: a residual branch that ends in a rectifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.residual import Residual


class RectifierBeforeAdd(StaticRule):
    """The residual branch ends in an activation that is never negative, so a block can only add to the stream.

    ## What it does
    Finds residual sums whose branch ends in ReLU, ReLU6, softplus, sigmoid or any other activation without negative values,
    up to what keeps the sign (dropout, pooling).

    ## Why is this bad?
    A residual function should take values of both signs. One that cannot be negative makes the forward signal grow
    monotonically: the mean rises with every block, later blocks see inputs of one sign, and none can take back what an
    earlier one has added.

    ## When it is fine
    After the sum, as in ResNet. Where the skip spans a whole decoder (LinkNet): it is no block of a stack. With
    activations of both signs (leaky ReLU, SiLU, GELU), as in YOLO's Darknet.

    ## Evidence
    ResNet-110 on CIFAR-10: 7.84 % error with ReLU before the addition, 6.61 % with the ReLU after it. It costs accuracy, and does
    not keep a net from training: of 13 such nets of 3 to 15 blocks (`tests/calibration`, "inside") all did.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 4.1, table 2 and figure 4(c).
    """

    code = "NC406"
    name = "rectifier-before-add"
    severity = Severity.INFO
    plain = "A block can only add to the signal and never take from it"
    BAD = (
        Example(
            "blocks that end in BatchNorm and ReLU",
            """
def layer():
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(layer(), layer())

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(4)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "the ReLU after the sum (ResNet)",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(4)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such sums of a model."""
        found = {each.node: end for each in graph.residuals if (end := rectified_end(each)) is not None}
        if not found:
            return
        name, several = next(iter(found.values())).target, len(found) > 1
        blocks = f"{len(found)} residual branches end" if several else "the residual branch ends"
        yield self.finding(
            f"{blocks} in {name}: {'they' if several else 'it'} can only add to the stream",
            help="end the branch in its last layer and norm; put the activation after the sum (`F.relu(x + branch(x))`) or "
            "before the branch's first layer",
            evidence=Evidence(
                len(found),
                "rectified branches",
                f"{len(found)} of {len(graph.residuals)} residual branches are never "
                "negative; ResNet-110 loses 1.2 points on CIFAR-10 by it",
                limit=0,
            ),
            at=[*found.values(), *found],
            verdict=Verdict.CONFIRMED,
            count=len(found),
        )


def rectified_end(residual: Residual) -> Node | None:
    """The activation without negative values that a block's branch ends in; None if the branch takes both signs."""
    from netcheck.trace.residual import fixed_factor

    if residual.node.function in ("sub", "isub", "rsub") or not residual.branch.layers or residual.spans_stages:
        return None
    keeps_sign = (Kind.IDENTITY, Kind.CAST, Kind.DROPOUT, Kind.POOL, Kind.RESIZE, Kind.PAD, Kind.RESHAPE)
    end = residual.branch.operand
    while end.kind in keeps_sign or (end.kind is Kind.SCALE and (fixed_factor(end) or 0) > 0):
        end = next(source for source in end.inputs if source.depends)
    nonnegative = end.activation is not None and end.activation.nonnegative
    nonnegative = nonnegative or (end.kind is Kind.SOFTMAX and end.detail != "log")
    return end if nonnegative and end in residual.branch.nodes else None
