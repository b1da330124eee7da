"""NC601: hardly any gradient arrives at the first layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.helpers import advice, depth_budget

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node


class VanishingGradient(MeasuredRule):
    """The gradient vanishes: measured from the head's input to the first activations, less than a thousandth arrives.

    ## What it does
    Runs the model forward, puts a Gaussian cotangent v in at the input of the head (its last weight layer), pulls it back
    to the first float activations, and takes log10(|Jᵀv| / |v|): the end-to-end gain, the median over passes with fresh
    inputs, fresh cotangents, and a fresh initialization where a factory is known. Below −3 decades it warns, below −5 it
    is an error. The layers where most is lost are named. Where a static rule has found the cause, that finding is
    confirmed by the number instead of adding this one.

    ## Why is this bad?
    The first layers learn a thousand times slower than the last; what they hand on stays random.

    ## When it is fine
    Adam divides a gradient's scale out, and rescues part of such nets: with `--optimizer adam` this is one level lower. A
    head whose weights start at zero does no harm: the gain is taken at its input. A norm or a scale on the only way that starts
    at zero lets nothing pass until the first step has moved it, and trained scales that start small (LayerScale) let little pass
    until they have grown: that is information. In recurrent nets what the last step passes back fades with the number of steps,
    and they train: up to the error's limit it is information.

    ## Evidence
    On 560 small nets, |gain| > 3 had precision 1.00 and recall 0.66 for "does not train with SGD at any of three rates".
    Of 21 torchvision models at their own initialization none is beyond 3.

    ## References
    - Hochreiter 1991; Bengio, Simard and Frasconi 1994, Learning long-term dependencies with gradient descent is difficult.
    - Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks.
    - Schoenholz et al. 2017, Deep Information Propagation.
    """

    code = "NC601"
    name = "vanishing-gradient"
    severity = Severity.ERROR
    plain = "{gradient}"
    scale_only = True
    THRESHOLDS = (depth_budget.ERROR,)
    explained_by = (
        "NC101",
        "NC102",
        "NC301",
        "NC401",
        "NC501",
        "NC502",
        "NC503",
        "NC605",
        "NC606",
        "NC608",
        "NC609",
    )
    BAD = (
        Example(
            "twenty tanh layers at PyTorch's default",
            """
model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(20)], nn.Linear(64, 10))
""",
            "8x64",
        ),
        Example(
            "activations scaled down on their way, though every weight is well drawn",
            """
class Damped(nn.Linear):
    def reset_parameters(self):
        nn.init.kaiming_normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return 0.3 * F.relu(super().forward(x))

model = nn.Sequential(*[Damped(64, 64) for _ in range(8)], nn.Linear(64, 10))
""",
            "8x64",
        ),
    )
    GOOD = (
        Example(
            "the same depth, initialized for tanh",
            """
model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(20)], nn.Linear(64, 10))
for linear, _ in model[:-1]:
    nn.init.orthogonal_(linear.weight, gain=1.2)
""",
            "8x64",
        ),
        Example(
            "a head that starts at zero: no gradient at the loss, and nothing wrong",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
nn.init.zeros_(model[2].weight)
""",
            "8x16",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """The gain against its budget."""
        from netcheck.rules.measured import profiles
        from netcheck.trace.questions import trained_scales

        gain = gradients.held_gain
        if not gain < -depth_budget.BUDGET:
            return
        zeros = graph.diagnosis.zeros if math.isinf(gain) else ()
        if zeros:
            yield self.until_moved(gradients, zeros)
            return
        scaled, scale = trained_scales.lost(graph)
        if scale is not None and gain - scaled >= -depth_budget.BUDGET:
            yield self.until_grown(gradients, scaled, scale)
            return
        # What the last step passes on to all steps before it fades with their number, in nets that train, too.
        recurrent = gradients.recurrent and abs(gain) <= self.limit("error")
        where = profiles.steepest(gradients, graph, falling=True)
        lost = f"{profiles.arrives(gain)} of the gradient at the head's input arrives at the first activations"
        yield self.finding(
            lost + (f"; most is lost at {len(where)} of the weight layers" if where else ""),
            help=advice.for_net(
                graph,
                "initialize each layer for its activation, normalize between layers, or lead identity skips around them",
                vanishes=True,
            ),
            evidence=Evidence(gain, "decades", profiles.gain_text(gradients), limit=-depth_budget.BUDGET),
            at=where,
            severity=depth_budget.severity_of(gain, self.limit("error")) if not recurrent else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )

    def until_moved(self, gradients: Gradients, zeros: Sequence[Node]) -> Finding:
        """What is lost to numbers that start at zero, until a step has moved them."""
        from netcheck.rules.measured import profiles

        name = zeros[-1].path or zeros[-1].target
        return self.finding(
            f"nothing arrives at the first activations until a step has moved `{name}`, which multiplies by zero",
            help="start it at a small number, or lead an identity around it",
            evidence=Evidence(gradients.held_gain, "decades", profiles.gain_text(gradients), limit=-depth_budget.BUDGET),
            at=zeros,
            severity=Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )

    def until_grown(self, gradients: Gradients, lost: float, scale: Node) -> Finding:
        """What is lost to trained scales that start small, until they have grown."""
        from netcheck.rules.measured import profiles

        name = scale.path or scale.target
        return self.finding(
            f"{profiles.arrives(gradients.held_gain)} of the gradient at the head's input arrives at the first activations until "
            f"trained scales have grown, which let 10^{Decades(lost)} through (the last in `{name}`)",
            help="start the scales at 0.1, or train with Adam or a similar optimizer, which makes small numbers grow at once",
            evidence=Evidence(
                gradients.held_gain,
                "decades",
                f"{profiles.gain_text(gradients)}; {Decades(lost)} of it are trained scales",
                limit=-depth_budget.BUDGET,
            ),
            at=[scale],
            severity=Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )
