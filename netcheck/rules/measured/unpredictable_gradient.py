"""NC604: a gradient that a small step turns round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


_TURNED = 1.0  # 1 - cosine: a right angle


class UnpredictableGradient(MeasuredRule):
    """A small step along the gradient turns it by more than a right angle: it does not say where to go next.

    ## What it does
    Moves every parameter along its gradient by a thousandth of the parameter's norm, measures the gradient again on the
    same inputs, and compares the two: 1 − cosine. Above 1, where nothing of the direction is left, this is said, as information.

    ## Why is this bad?
    Gradient descent trusts the gradient over the length of a step. In deep plain nets gradients at neighbouring points
    decorrelate exponentially with depth (shattered gradients): they look like white noise, and only tiny steps descend.

    ## When it is fine
    Often. ResNet-50 is unpredictable at this step, and trains at a smaller rate or with warm-up; and a net whose gradient
    has vanished is perfectly predictable. That is why this is information alone.

    ## Evidence
    Of 560 small nets 15 with a gain within 3 decades were above 1; 13 of these did not train with SGD. Where the head also
    sees few directions, NC607 and NC401 warn. At their own initialization MNASNet and ShuffleNet reach 0.9, and train.

    ## References
    - Balduzzi et al. 2017, The Shattered Gradients Problem.
    - Santurkar et al. 2018, How Does Batch Normalization Help Optimization?
    """

    code = "NC604"
    name = "unpredictable-gradient"
    severity = Severity.INFO
    plain = "A small step already turns the gradient around, so learning will be slow and jumpy"
    explained_by = ("NC401", "NC602", "NC607", "NC609")
    THRESHOLDS = (
        Threshold("turn", _TURNED, "1 − cosine of the gradient before and after a small step above which it turns too far"),
    )
    BAD = (
        Example(
            "fifty tanh layers behind layer norms, without a skip",
            """
def layer():
    return nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Tanh())

model = nn.Sequential(*[layer() for _ in range(50)], nn.Linear(64, 10))
""",
            "32x64",
        ),
    )
    GOOD = (
        Example(
            "the same with a skip around each layer",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(64), nn.Linear(64, 64)

    def forward(self, x):
        return x + self.layer(torch.tanh(self.norm(x)))

model = nn.Sequential(*[Block() for _ in range(50)], nn.Linear(64, 10))
""",
            "32x64",
        ),
        Example(
            "a linear net",
            "model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4))",
            "8x16",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """The turn of the gradient against its limit."""
        turned = gradients.unpredictability
        if turned is None or not turned > self.limit("turn"):
            return
        yield self.finding(
            "a step of a thousandth of the weights turns the gradient by more than a right angle",
            help="lead identity skips around the layers, or plan for warm-up and a small learning rate",
            evidence=Evidence(
                round(turned, 3),
                "1 - cosine",
                f"1 − cosine = {turned:.2f} between the gradients before and after the step, limit {self.limit('turn'):g}",
                limit=self.limit("turn"),
            ),
            verdict=Verdict.CONFIRMED,
        )
