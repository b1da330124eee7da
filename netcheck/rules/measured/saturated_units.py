"""NC606: activations that work where they are flat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.helpers import depth_budget
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


_MOST = 0.5  # of an activation's values


class SaturatedUnits(MeasuredRule):
    """Most values of a saturating activation lie where it is flat.

    ## What it does
    For every activation that is flat on both sides (told by behaviour), measures the share of its outputs at which its slope
    is below a tenth of its steepest. More than half is said, as information; where the gradient vanishes as well, this is its
    cause, and is reported in its place with the gain's severity.

    ## Why is this bad?
    A saturated unit passes hardly any gradient, and says only the sign of its input.

    ## When it is fine
    Between normalized layers large weights saturate a tanh without the gradient vanishing, since they amplify what is left:
    on 560 small nets half of those with mostly saturated layers trained. Gates are meant to saturate.

    ## Evidence
    On 560 small nets more than half saturated had precision 0.53 for "does not train with SGD": no sign by itself.

    ## References
    - Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, section 3.
    """

    code = "NC606"
    name = "saturated-units"
    severity = Severity.ERROR
    plain = "Most values of an activation are at its flat end, where hardly any gradient passes"
    scale_only = True
    explained_by = ("NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC602", "NC608", "NC609")
    THRESHOLDS = (Threshold("share", _MOST, "share of an activation's values above which saturated ones are too many"),)
    BAD = (
        Example(
            "a tanh fed by weights five times too large",
            """
first = nn.Linear(64, 64)
nn.init.normal_(first.weight, std=1.0)
model = nn.Sequential(first, nn.Tanh(), nn.Linear(64, 4))
""",
            "8x64",
        ),
    )
    GOOD = (
        Example(
            "tanh at its own gain",
            """
layers = []
for _ in range(5):
    linear = nn.Linear(64, 64)
    nn.init.xavier_uniform_(linear.weight, gain=5 / 3)
    layers += [linear, nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(64, 10))
""",
            "8x64",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all mostly saturated activations."""
        from netcheck.trace.gain import is_gate

        nodes = {node.name: node for node in graph}
        shares = {nodes[one.node]: one.saturated or 0.0 for one in gradients.profile}
        most = self.limit("share")
        flat = [node for node, share in shares.items() if share > most and not is_gate(node)]
        if not flat:
            return
        worst = max(shares[node] for node in flat)
        gain = gradients.held_gain
        vanishes = gain < -depth_budget.BUDGET
        name = depth_budget.name_of(flat)
        measured = f"{worst:.0%} of the values saturated, limit {most:.0%}; measured gain {Decades(gain)}"
        yield self.finding(
            f"{len(flat)} {name} activation{'s' if len(flat) > 1 else ''} mostly saturated"
            + (": hardly any gradient passes" if vanishes else ""),
            help="draw the weights before them at their activation's gain with zero biases, or normalize before them",
            evidence=Evidence(gain, "decades", measured, limit=-depth_budget.BUDGET)
            if vanishes
            else Evidence(round(worst, 3), "share of values", measured, limit=most),
            at=flat,
            severity=depth_budget.severity_of(gain) if vanishes else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )
