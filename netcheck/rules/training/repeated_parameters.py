"""TS804: repeated parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class RepeatedParameters(StepRule):
    """A parameter stands in the optimizer twice: it takes two steps for each one.

    ## What it does
    Looks for tensors that a group of the optimizer has more than once.

    ## Why is this bad?
    Its learning rate is twice what it says, and momentum and Adam's averages count each gradient twice.

    ## When it is fine
    Never; a shared layer's parameters stand in `model.parameters()` once.

    ## Evidence
    How many are repeated.

    ## References
    - PyTorch: "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error".
    """

    code = "TS804"
    name = "repeated-parameters"
    severity = Severity.WARNING
    plain = "A part of it takes two steps at a time"
    BAD = (
        Example(
            "the head is added to all parameters",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
import warnings

with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    optimizer = torch.optim.SGD([*model.parameters(), *model[2].parameters()], lr=0.1)
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "once",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all that are."""
        update = step.update
        if update is not None and update.repeated:
            yield self.finding(
                f"{len(update.repeated)} parameters stand in {update.name} twice: {', '.join(update.repeated[:3])}",
                help="give each parameter once",
                evidence=Evidence(
                    len(update.repeated), "parameters", f"{len(update.repeated)} parameters take two steps at once", limit=0
                ),
                places=[update.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
