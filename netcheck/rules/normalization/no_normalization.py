"""NC301: depth without normalization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Finding, Severity
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.helpers import depth_budget

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


class NoNormalization(StaticRule):
    """The net is too deep, or its sums too many, to keep its gradient without normalization.

    ## What it does
    Estimates the static gain of the net (see NC501). Where it is outside the budget, neither a better initialization nor
    rectifiers bring it inside, and normalizing the output of the weight layers does, the missing normalization is the
    cause.

    ## Why is this bad?
    In a residual net without normalization every block adds its branch's variance to the stream: at a branch gain of 1 the
    signal and the gradient double, block after block. Fifty blocks are a factor of 10^15 in variance. With a norm in the
    branch each block adds a fixed amount, and the growth is that of a sum, not of a product.

    ## When it is fine
    In nets inside the budget; where the branches start at zero (a zero last layer, Fixup, SkipInit, LayerScale); in
    self-normalizing nets (SELU with LeCun's initialization); with weight standardization.

    ## Evidence
    The static gain, as built and with a norm after each weight layer. Of the first example below, 40 blocks of two layers
    each: +6.0 decades estimated, +5.9 measured (`netcheck.check` with its probe); of the one with a norm in each branch
    +0.9 measured.

    ## References
    - Ioffe and Szegedy 2015, Batch Normalization.
    - De and Smith 2020, Batch Normalization Biases Residual Blocks Towards the Identity Function.
    - Zhang, Dauphin and Ma 2019, Fixup Initialization: residual nets without normalization.
    """

    code = "NC301"
    name = "no-normalization"
    severity = Severity.ERROR
    scale_only = True
    THRESHOLDS = (depth_budget.ERROR,)
    BAD = (
        Example(
            "forty residual blocks of gain 1, and nothing that normalizes",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
        nn.init.kaiming_normal_(self.one.weight)
        nn.init.kaiming_normal_(self.two.weight)

    def forward(self, x):
        return x + self.two(F.relu(self.one(F.relu(x))))

model = nn.Sequential(*[Block() for _ in range(40)], nn.Linear(64, 10))
""",
            "8x64",
        ),
    )
    GOOD = (
        Example(
            "a norm in each branch",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
        nn.init.kaiming_normal_(self.one.weight)
        nn.init.kaiming_normal_(self.two.weight)

    def forward(self, x):
        return x + self.two(F.relu(self.one(self.norm(x))))

model = nn.Sequential(*[Block() for _ in range(40)], nn.Linear(64, 10))
""",
            "8x64",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the measured gain."""
        return depth_budget.verdict(found, gradients, self.severity, self.limit("error"))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """The budget's finding if only normalization helps."""
        from netcheck.trace.budget import followed_by_norm

        diagnosis = graph.diagnosis
        if diagnosis.cause != "no norm":
            return
        bare = [node for node in diagnosis.layers if not followed_by_norm(node)]
        images = any(node.shape is not None and len(node.shape) == 4 for node in bare)
        norm = "nn.BatchNorm2d(channels)" if images else "nn.LayerNorm(features)"
        yield self.finding(
            f"{len(bare)} weight layers without normalization: {depth_budget.fate(diagnosis)}",
            help=f"put `{norm}` into each block, before its weight layers, or start each branch at zero "
            f"(`nn.init.zeros_` on its last layer){depth_budget.others(diagnosis)}",
            evidence=depth_budget.evidence(diagnosis),
            at=bare,
            severity=depth_budget.severity(diagnosis, self.limit("error")),
        )
