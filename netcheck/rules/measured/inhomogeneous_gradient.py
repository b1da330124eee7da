"""NC603: weights that learn at very different speeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


_FAR = 5.0  # decades between the 10th and the 90th percentile


class InhomogeneousGradient(MeasuredRule):
    """Some weights get gradients a hundred thousand times larger, for their size, than others.

    ## What it does
    Takes |g| / |w| of every weight matrix on the way to the head's input, leaves out those whose gradient is zero, and
    compares the 10th with the 90th percentile. More than 5 decades between them is a warning. Weights in a branch that ends
    in a small trained scale (below 0.1: layer scale) are left out too, since the scale learns first; where most weights are
    in such branches, nothing is compared.

    ## Why is this bad?
    |g| / |w| is how fast a weight turns at a given learning rate. Over five decades no single rate moves one end without
    freezing or wrecking the other.

    ## When it is fine
    The extremes alone say nothing; that is why percentiles are compared. Optimizers that normalize by layer (LARS, LAMB, Adam
    in part) even it out.

    ## Evidence
    Of 72 models of torchvision and timm at their own initialization the widest is FocalNet with 4.7 decades (a product of
    gates), then CrossViT 3.8, EfficientNet 3.5 and MobileNetV3 3.1; all of them train. Before the weights under a layer scale
    were left out, FastViT had 9.4.

    ## References
    - You, Gitman and Ginsburg 2017, Large Batch Training of Convolutional Networks (LARS).
    - Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks.
    """

    code = "NC603"
    name = "inhomogeneous-gradient"
    severity = Severity.WARNING
    plain = "Some of its weights learn a hundred thousand times faster than others, so no learning rate fits both"
    scale_only = True
    explained_by = (
        "NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC601", "NC602", "NC605", "NC606", "NC609",
    )  # fmt: skip
    THRESHOLDS = (Threshold("decades", _FAR, "spread of |g|/|w| over the parameters, in decades, above which it is too wide"),)
    BAD = (
        Example(
            "half of the branches scaled by a hundred-thousandth",
            """
class Branch(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.layer, self.scale = nn.Linear(32, 32), scale

    def forward(self, x):
        return x + self.scale * F.relu(self.layer(x))

scales = [1e-5] * 6 + [1.0] * 6
model = nn.Sequential(*[Branch(scale) for scale in scales], nn.Linear(32, 4))
""",
            "8x32",
        ),
    )
    GOOD = (
        Example(
            "a residual net",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(64), nn.Linear(64, 256), nn.Linear(256, 64)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))

model = nn.Sequential(*[Block() for _ in range(8)], nn.LayerNorm(64), nn.Linear(64, 10))
""",
            "8x64",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """The spread of relative gradients against its limit."""
        from netcheck.rules.measured import profiles

        spread = gradients.homogeneity
        if spread is None or not spread > self.limit("decades"):
            return
        yield self.finding(
            f"the relative gradients |g|/|w| of the weights span {spread:.1f} decades",
            help="bring the slow layers' scale nearer to the others', or train with an optimizer that normalizes by layer",
            evidence=Evidence(
                round(spread, 2),
                "decades",
                f"log10(|g|/|w|): P90 − P10 = {spread:.1f} decades, limit {self.limit('decades'):g}",
                limit=self.limit("decades"),
            ),
            at=profiles.slowest(gradients, graph),
            verdict=Verdict.CONFIRMED,
        )
