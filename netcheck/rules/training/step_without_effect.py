"""TS807: step without effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class StepWithoutEffect(StepRule):
    """A step changes next to none of the weights: it is below their precision.

    ## What it does
    Takes one step of a copy of the optimizer on a copy of the model, and counts the numbers with a gradient that are others
    afterwards.

    ## Why is this bad?
    A step of less than half the distance to the next number is rounded away. In bfloat16 that distance is 1/256 of the
    number, in float16 1/2048: a learning rate of 1e-4 moves little. The loss stays where it is.

    ## When it is fine
    With a learning rate of 0, as the first step of a warm-up has it: nothing is said. With weights in float32 under
    autocast.

    ## Evidence
    The share of the numbers that change.

    ## References
    - Micikevicius et al.: Mixed Precision Training, 2018: an FP32 master copy of weights.
    """

    code = "TS807"
    name = "step-without-effect"
    severity = Severity.WARNING
    plain = "Its steps are so short that they are lost in rounding"
    of_numbers = True
    THRESHOLDS = (Threshold("share", 0.1, "of the numbers with a gradient that a step has to change"),)
    BAD = (
        Example(
            "weights in bfloat16",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
model = model.bfloat16()
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
""",
            "bfloat16:32x16",
        ),
    )
    GOOD = (
        Example(
            "weights in float32",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, if few change."""
        update = step.update
        if update is None or update.changed is None or not update.rate or update.changed > self.limit("share"):
            return
        yield self.finding(
            f"a step of {update.name} with lr={update.rate:g} changes {update.changed:.1%} of the weights, in {update.precision}",
            help="keep the weights in float32 (torch.autocast computes in half precision), or raise the learning rate",
            evidence=Evidence(
                update.changed, "share", f"{update.changed:.1%} of the numbers with a gradient change", limit=self.limit("share")
            ),
            places=[update.place or graph.built_at("")],
            verdict=Verdict.CONFIRMED,
        )
