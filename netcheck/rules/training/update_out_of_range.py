"""TS809: a step is out of proportion to the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class UpdateOutOfRange(StepRule):
    """One step moves the weights by more than they are: what they held is gone.

    ## What it does
    Compares the norm of the change of all weights in one step with their own norm: on copies, where an optimizer is given, and
    every N steps while a training is watched (`netcheck.watch`).

    ## Why is this bad?
    The gradient says which way the loss falls near the weights. A step as long as the weights themselves leaves all that behind;
    steps of a thousandth are usual.

    ## When it is fine
    In the first step of a net whose weights are nearly all zero.

    ## Evidence
    The norm of the change over that of the weights.

    ## References
    - Karpathy: CS231n, "Ratio of weights:updates", about 1e-3.
    """

    code = "TS809"
    name = "update-out-of-range"
    severity = Severity.WARNING
    plain = "One step changes it by more than it is"
    of_numbers = True
    explained_by = ("TS806",)
    THRESHOLDS = (Threshold("most", 1.0, "times their own norm that a step may move the weights"),)
    BAD = (
        Example(
            "a learning rate of 300",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=300.0)
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "a learning rate of 0.1",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, if it does."""
        update = step.update
        if update is not None and update.moved is not None and update.moved > self.limit("most"):
            yield self.finding(
                f"one step of {update.name} with lr={update.rate:g} moves the weights by {update.moved:.2g} times their norm",
                help=f"lower the learning rate: try {update.rate / 10 / update.moved:.1g}",
                evidence=Evidence(
                    update.moved, "times", f"change {update.moved:.2g} times the norm of the weights", limit=self.limit("most")
                ),
                places=[update.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
