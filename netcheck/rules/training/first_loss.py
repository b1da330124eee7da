"""TS707: first loss."""

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


class FirstLoss(StepRule):
    """The first loss is far from that of a guess that knows nothing: ln C of C classes, ln 2 of a truth value.

    ## What it does
    Compares the loss of the batch, before any training, with that of equal probabilities.

    ## Why is this bad?
    A first loss of many times ln C says that the logits are large: the first steps only undo them. One far below says that
    the model is trained already, or is shown the answer.

    ## When it is fine
    A loss below is that of a model with trained weights: information.

    ## Evidence
    The first loss and the blind guess.

    ## References
    - Karpathy: A Recipe for Training Neural Networks, 2019: verify loss at init.
    """

    code = "TS707"
    name = "first-loss"
    severity = Severity.WARNING
    plain = "Before it has learned anything it is surer, and more often wrong, than one that guesses"
    of_numbers = True
    explained_by = ("TS703", "TS705", "NC611")
    THRESHOLDS = (
        Threshold("times", 5.0, "blind guesses that the first loss may be"),
        Threshold("share", 0.2, "of a blind guess below which it is told"),
    )
    BAD = (
        Example(
            "a head with large weights",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
nn.init.normal_(model[2].weight, std=5.0)
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "PyTorch's own initialization",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, if it is."""
        if step.value is None or not step.blind or not math.isfinite(step.value):
            return
        times = step.value / step.blind
        if times > self.limit("times") or times < self.limit("share"):
            much = times > 1
            yield self.finding(
                f"the first loss is {step.value:.3g}, {times:.2g} times that of a guess that knows nothing ({step.blind:.2f})",
                help="draw the head smaller, or scale the inputs" if much else "see whether the targets are among the inputs",
                evidence=Evidence(
                    times, "times", f"first loss {step.value:.3g}, blind guess {step.blind:.2f}", limit=self.limit("times")
                ),
                places=[step.place or graph.built_at("")],
                severity=Severity.WARNING if much else Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )
