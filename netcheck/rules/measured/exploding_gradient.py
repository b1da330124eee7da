"""NC602: the gradient grows on its way back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.helpers import advice, depth_budget

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


class ExplodingGradient(MeasuredRule):
    """The gradient explodes: measured from the head's input to the first activations, it grows more than a thousandfold.

    ## What it does
    Takes the end-to-end gain as NC601 does. Above 3 decades it warns, above 5 it is an error.

    ## Why is this bad?
    No learning rate suits all layers: one that lets the last layers learn throws the first ones about. In deep plain nets
    with batch normalization the gradient grows by a factor of 1.2 a layer (√(π/(π−1)), Yang et al. 2019).

    ## When it is fine
    With Adam, which divides a gradient's scale out, part of such nets train: `--optimizer adam` takes one level off.

    ## Evidence
    On 560 small nets, |gain| > 3 had precision 1.00 and recall 0.66 for "does not train with SGD at any of three rates".

    ## References
    - Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks.
    - Yang et al. 2019, A Mean Field Theory of Batch Normalization.
    """

    code = "NC602"
    name = "exploding-gradient"
    severity = Severity.ERROR
    plain = "{gradient}"
    scale_only = True
    THRESHOLDS = (depth_budget.ERROR,)
    explained_by = ("NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC609")
    BAD = (
        Example(
            "weights drawn far too large",
            """
layers = []
for _ in range(8):
    linear = nn.Linear(128, 128)
    nn.init.normal_(linear.weight, std=1.0)
    layers += [linear, nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(128, 10))
""",
            "8x128",
        ),
    )
    GOOD = (
        Example(
            "rectifiers at their own gain",
            """
model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(20)], nn.Linear(64, 10))
for linear, _ in model[:-1]:
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
""",
            "8x64",
        ),
        Example(
            "large weights that a normalization scales down again",
            """
def layer():
    linear = nn.Linear(64, 64)
    nn.init.normal_(linear.weight, std=3.0)
    return nn.Sequential(linear, nn.LayerNorm(64), nn.ReLU())

model = nn.Sequential(*[layer() for _ in range(6)], nn.Linear(64, 4))
""",
            "8x64",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """The gain against its budget."""
        from netcheck.rules.measured import profiles

        gain = gradients.held_gain
        if not gain > depth_budget.BUDGET:
            return
        where = profiles.steepest(gradients, graph, falling=False)
        yield self.finding(
            f"the gradient at the first activations is 10^{gain:.1f} times that at the head's input"
            + (f"; it grows most at {len(where)} of the weight layers" if where else ""),
            help=advice.for_net(
                graph, "initialize each layer for its activation, or normalize between layers; divide a sum of k branches by √k"
            ),
            evidence=Evidence(gain, "decades", profiles.gain_text(gradients), limit=depth_budget.BUDGET),
            at=where,
            severity=depth_budget.severity_of(gain, self.limit("error")),
            verdict=Verdict.CONFIRMED,
        )
