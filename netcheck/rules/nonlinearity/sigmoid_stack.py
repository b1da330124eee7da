"""NC102: one-sided saturating activations too deep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Finding, Severity
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.helpers import depth_budget, patterns
from netcheck.rules.nonlinearity.tanh_stack import saturation, stack

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph

_LONG = 3  # in a row: worth a word by themselves
_ROW = 2  # in a row: a stack at all, if it costs a third of the budget


class SigmoidStack(StaticRule):
    """Sigmoid-like activations are stacked so deep that the gradient vanishes, whatever the initialization.

    ## What it does
    The same as NC101, for activations that are flat on both sides and have all their values on one side of zero (sigmoid,
    hard sigmoid, a user's own: told by behaviour). Inside the budget three in a row are information, and two if rectifiers
    would give back a third of the budget.

    ## Why is this bad?
    A sigmoid's slope is at most 1/4, so four fifths of the gradient are lost at every layer at the usual gain of 1, and its
    outputs share a positive mean that says nothing and drives the next layer further into saturation. A LayerNorm before
    the sigmoid does not help: it restores the scale, the slope stays, and 0.43 decades a layer remain.

    ## When it is fine
    In one to three layers; as a gate; as the output of a classifier or a mask.

    ## Evidence
    Decades lost a layer, measured: 0.85 at PyTorch's default, 0.63 at Kaiming's and Xavier's gain. Of the sigmoid nets
    without normalization in the calibration set, none of five or more layers at small weights trained with SGD.

    ## References
    - Glorot and Bengio 2010, section 3.1.
    - Hochreiter 1991, Untersuchungen zu dynamischen neuronalen Netzen: a slope of 1/4 vanishes geometrically.
    """

    code = "NC102"
    name = "sigmoid-stack"
    severity = Severity.ERROR
    plain = "{gradient}: too many sigmoid-like activations follow each other"
    scale_only = True
    THRESHOLDS = (depth_budget.ERROR, patterns.noted(_LONG, "activations"))
    BAD = (
        Example(
            "eight sigmoid layers, as modules",
            """
model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Sigmoid()) for _ in range(8)], nn.Linear(64, 10))
""",
            "8x64",
        ),
    )
    GOOD = (
        Example(
            "rectifiers inside, a sigmoid on the output",
            """
def layer():
    linear = nn.Linear(64, 64)
    nn.init.kaiming_normal_(linear.weight)
    return nn.Sequential(linear, nn.ReLU())

model = nn.Sequential(*[layer() for _ in range(8)], nn.Linear(64, 1), nn.Sigmoid())
""",
            "8x64",
        ),
        Example(
            "one sigmoid layer, and one on the output",
            """
model = nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 1), nn.Sigmoid())
""",
            "8x64",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the measured gain."""
        return patterns.verdict(found, gradients, self.severity, self.limit("error"))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """The budget's finding if one-sided saturation is the cause, else the row itself."""
        if patterns.code_of_cause(graph) == self.code and patterns.blamed(graph, zero_centred=False):
            yield saturation(self, graph, zero_centred=False)
        else:
            yield from stack(self, graph, zero_centred=False, fewest=_ROW, limit=self.limit("info"))
