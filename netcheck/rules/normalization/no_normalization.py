"""NC301: depth without normalization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Finding, Severity
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.rules.helpers import advice, depth_budget, patterns
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node

_LONG = 10  # in a row: worth a word by themselves
_ROW = 5  # in a row: a stack at all, if it costs a third of the budget


class NoNormalization(StaticRule):
    """The net is too deep, or its sums too many, to keep its gradient without normalization.

    ## What it does
    Estimates the static gain of the net (see NC501). Where it is outside the budget, neither a better initialization nor
    rectifiers bring it inside, and normalizing the output of the weight layers does, the missing normalization is the
    cause. Otherwise ten weight layers in a row with no normalization between them are information, and five if norms
    would give back a third of the budget.

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
    plain = "{gradient}: nothing normalizes between so many layers"
    scale_only = True
    fixable = Fixable("put a norm behind each weight layer of a Sequential or list", safe=False, structural=True)
    THRESHOLDS = (depth_budget.ERROR, patterns.noted(_LONG, "weight layers"))
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
        return patterns.verdict(found, gradients, self.severity, self.limit("error"))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """The budget's finding if only normalization helps, else the row itself."""
        from netcheck.trace.budget import Cause, followed_by_norm

        diagnosis = graph.diagnosis
        if diagnosis.cause != Cause.NO_NORM:
            row = patterns.row_without_norm(graph, _ROW)
            help = f"put `{norm_for(row.nodes)}` after each weight layer, before its activation"
            yield from patterns.pattern(self, graph, Cause.NO_NORM, row, help=help, limit=self.limit("info"))
            return
        bare = [node for node in diagnosis.layers if not followed_by_norm(node)]
        in_blocks = (
            f"put `{norm_for(bare)}` into each block, before its weight layers, or start each branch at zero "
            "(`nn.init.zeros_` on its last layer)"
        )
        yield self.finding(
            f"{len(bare)} weight layers without normalization: {depth_budget.fate(diagnosis)}",
            help=advice.for_blocks(graph, in_blocks) + depth_budget.others(diagnosis),
            evidence=depth_budget.evidence(diagnosis),
            at=bare,
            severity=depth_budget.severity(diagnosis),
        )


def norm_for(layers: Iterable[Node]) -> str:
    """The norm that fits what most of some layers make."""
    ranks = [len(node.shape) for node in layers if node.shape is not None and node.kind is Kind.CONV]
    return f"nn.BatchNorm{max(ranks) - 2}d(channels)" if ranks else "nn.LayerNorm(features)"
