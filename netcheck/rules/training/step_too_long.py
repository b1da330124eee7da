"""TS806: step too long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class StepTooLong(StepRule):
    """One step along the measured gradient raises the loss of the same batch many times: the learning rate is too high.

    ## What it does
    Takes one step of a copy of the optimizer on a copy of the model, and computes the loss of the same batch again, with
    the same dropout.

    ## Why is this bad?
    A step that overshoots on the very batch that it was made of does so on any: the loss grows until it is NaN, or stays
    where nothing is learned.

    ## When it is fine
    A rise of little more than the loss is information; many recipes survive it.

    ## Evidence
    The loss after the step, relative to that before it. Of 416 trainings of eight small nets with four optimizers and thirteen
    learning rates, 68 began with a step that took the loss beyond 100 times: 2 of them came near the best of their net. Of the 62
    between 1.5 and 100 times, 11 did.

    ## References
    - Smith: Cyclical Learning Rates for Training Neural Networks, 2017: the range test.
    """

    code = "TS806"
    name = "step-too-long"
    severity = Severity.WARNING
    plain = "Its first step makes it much worse: the step is too long"
    of_numbers = True
    THRESHOLDS = (
        Threshold("info", 1.5, "times the loss after one step from which it is told"),
        Threshold("warning", 100.0, "times the loss after one step from which it is a warning"),
    )
    BAD = (
        Example(
            "a learning rate of 30",
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
        """One finding, if the loss rises."""
        update = step.update
        if update is None or update.after is None or not update.before or update.before <= 0:
            return
        times = update.after / update.before if math.isfinite(update.after) else math.inf
        if times <= self.limit("info"):
            return
        yield self.finding(
            f"one step of {update.name} with lr={update.rate:g} takes the loss of its own batch "
            f"from {update.before:.3g} to {update.after:.3g}",
            help=f"lower the learning rate: try {update.rate / 10:g}",
            evidence=Evidence(
                times, "times", f"loss {update.before:.3g} before, {update.after:.3g} after one step", limit=self.limit("warning")
            ),
            places=[update.place or graph.built_at("")],
            severity=Severity.WARNING if times > self.limit("warning") else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )
