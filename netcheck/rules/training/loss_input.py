"""TS703: loss input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph

_KIND = {
    "CrossEntropyLoss": "classes",
    "cross_entropy": "classes",
    "NLLLoss": "logarithms",
    "nll_loss": "logarithms",
    "BCEWithLogitsLoss": "truth",
    "binary_cross_entropy_with_logits": "truth",
}
_SLOW = "least loss that can be reached with 10 classes: 1.46 nats"
_WRONG = {
    ("classes", "softmax"): ("probabilities, and applies softmax again", "give it the logits", 1.46, _SLOW),
    ("classes", "sigmoid"): ("numbers between 0 and 1, and takes logits", "give it the logits", 1.46, _SLOW),
    ("classes", "log-softmax"): ("a log-softmax, and applies it again", "give it the logits", 0.0, "it changes nothing"),
    ("classes", "rectifier"): (
        "what a rectifier made: no logit is negative",
        "leave the last rectifier out",
        0.0,
        "least logit: 0",
    ),
    ("logarithms", "softmax"): ("probabilities, and takes their logarithms", "use log_softmax", -1.0, "least loss: −1"),
    ("truth", "sigmoid"): ("a sigmoid's output, and applies it again", "give it the logits", 0.31, "least loss: 0.31 nats"),
    ("truth", "softmax"): ("probabilities, and applies a sigmoid", "give it the logits", 0.31, "least loss: 0.31 nats"),
    ("truth", "rectifier"): ("what a rectifier made: no logit is negative", "leave it out", 0.0, "least logit: 0"),
}  # of what kind of loss, and what it is given: what that is, what to do, the number


class LossInput(StepRule):
    """The loss is given something else than it takes: probabilities for logits, or the other way round.

    ## What it does
    Calls the model and the loss that were given on one batch, and looks at the numbers of the output: those of a softmax
    sum up to 1, those of a log-softmax do so as exponentials, those of a sigmoid lie between 0 and 1, and a rectifier makes
    zeros.

    ## Why is this bad?
    CrossEntropyLoss and BCEWithLogitsLoss apply softmax and sigmoid themselves: on probabilities the loss cannot fall to
    zero, and the gradient shrinks. NLLLoss takes logarithms, and BCELoss raises on what is no probability.

    ## When it is fine
    Never, where the loss is that one. A log-softmax before CrossEntropyLoss is only computed twice: information.

    ## Evidence
    The least loss that can be reached, or the range of the output.

    ## References
    - PyTorch documentation of CrossEntropyLoss, NLLLoss, BCELoss and BCEWithLogitsLoss.
    """

    code = "TS703"
    name = "loss-input"
    severity = Severity.WARNING
    plain = "It learns slowly: its last function does not fit what its errors are measured by"
    said_by = ("NC107", "NC111")
    BAD = (
        Example(
            "softmax, then CrossEntropyLoss",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(dim=1))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "logits",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, if the numbers of the output are not what the loss takes."""
        wrong = _WRONG.get((_KIND.get(step.loss, ""), step.given))
        if wrong is None:
            return
        told, help, least, text = wrong
        yield self.finding(
            f"{step.loss} is given {told}",
            help=help,
            evidence=Evidence(least, "nats", text, limit=0),
            places=[step.place or graph.built_at("")],
            severity=Severity.INFO if step.given == "log-softmax" else Severity.WARNING,
            verdict=Verdict.CONFIRMED,
        )
