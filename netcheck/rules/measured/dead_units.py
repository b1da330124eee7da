"""NC605: units that are 0 whatever comes in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


_MOST = 0.5  # of an activation's units
_ALL = 0.999


class DeadUnits(MeasuredRule):
    """Most of a layer's units are 0 on every sample: nothing passes them, and no gradient revives them.

    ## What it does
    Looks at each activation's output over a batch of Gaussian inputs, and counts the units (channels) that are exactly 0 on
    every sample. More than half is a warning; all of them, where no skip leads around, is an error: there the net is cut.

    ## Why is this bad?
    A rectifier that is 0 has slope 0: the weights before it get no gradient from any sample, and stay as they are.

    ## When it is fine
    In the gates of squeeze-and-excitation, where a dead unit leaves a constant gate. In deep nets without normalization all
    samples come to look alike, and half of the units are 0 for all: that alone is not reported.

    ## Evidence
    On 560 small nets more than half dead had precision 1.00 for "does not train with SGD", at a recall of 0.16.

    ## References
    - Lu et al. 2019, Dying ReLU and Initialization: Theory and Numerical Examples.
    """

    code = "NC605"
    name = "dead-units"
    severity = Severity.ERROR
    plain = "Most units of a layer are always 0: they pass nothing on, and never learn"
    explained_by = ("NC105", "NC301", "NC501", "NC502", "NC503", "NC609")
    THRESHOLDS = (Threshold("share", _MOST, "share of an activation's units above which dead ones are too many"),)
    BAD = (
        Example(
            "biases far below zero",
            """
model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
nn.init.constant_(model[2].bias, -10.0)
""",
            "32x32",
        ),
        Example(
            "three quarters of the channels shut by their norm's bias",
            """
norm = nn.BatchNorm2d(16)
nn.init.constant_(norm.bias[:12], -8.0)
model = nn.Sequential(nn.Conv2d(3, 16, 3), norm, nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 4))
""",
            "32x3x8x8",
        ),
    )
    GOOD = (
        Example("rectifiers", "model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))", "32x32"),
        Example(
            "dead units in a squeeze-and-excitation gate",
            """
class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.reduce, self.expand = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        nn.init.constant_(self.reduce.bias, -5.0)

    def forward(self, x):
        x = F.silu(self.conv(x))
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Squeeze(), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
            "32x3x8x8",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all layers that are mostly dead."""
        from netcheck.rules.measured import profiles

        nodes = {node.name: node for node in graph}
        dead = {
            nodes[name]: share
            for name, share in gradients.dead.items()
            if share > self.limit("share") and not profiles.is_gating(nodes[name])
        }
        if not dead:
            return
        worst = max(dead.values())
        cut = worst > _ALL
        yield self.finding(
            f"{'all' if cut else f'{worst:.0%} of the'} units of {'a layer' if len(dead) == 1 else f'{len(dead)} layers'} "
            f"are 0 on every sample" + ("" if cut else " (the worst layer)" if len(dead) > 1 else ""),
            help="start biases at 0 and weights at their activation's gain, or use an activation with a slope on both sides "
            "(nn.LeakyReLU, nn.GELU)",
            evidence=Evidence(
                round(worst, 3),
                "share of units",
                f"{worst:.0%} of the units are 0 on every sample, limit {self.limit('share'):.0%}",
                limit=self.limit("share"),
            ),
            at=list(dead),
            severity=Severity.ERROR if cut else Severity.WARNING,
            verdict=Verdict.CONFIRMED,
        )
