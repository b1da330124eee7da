"""TS803: foreign parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class ForeignParameters(StepRule):
    """The optimizer has parameters that are not the model's, or that ask for no gradient.

    ## What it does
    Compares the parameters of the optimizer with those of the model and of the loss.

    ## Why is this bad?
    Foreign ones are another model's: one that was built before this one, or is trained with it. Frozen ones cost state, and
    thaw unnoticed once somebody asks for their gradient.

    ## When it is fine
    Where two models are trained by one optimizer.

    ## Evidence
    How many there are.

    ## References
    - PyTorch documentation of torch.optim.
    """

    code = "TS803"
    name = "foreign-parameters"
    severity = Severity.INFO
    plain = "The one who trains it also holds what is not its own, or may not be changed"
    BAD = (
        Example(
            "a frozen layer",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
model[0].requires_grad_(False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "only what is trained",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
model[0].requires_grad_(False)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the foreign ones, one for the frozen ones."""
        update = step.update
        if update is None:
            return
        for count, what, help in (
            (
                0 if update.missing else update.foreign,
                "that are not the model's",
                "build the optimizer of this model's parameters",
            ),
            (
                len(update.frozen),
                "that ask for no gradient",
                "leave them out: [p for p in model.parameters() if p.requires_grad]",
            ),
        ):
            if count:
                yield self.finding(
                    f"{update.name} has {count} parameters {what}",
                    help=help,
                    evidence=Evidence(count, "parameters", f"{count} parameters of the optimizer {what}", limit=0),
                    places=[update.place or graph.built_at("")],
                    verdict=Verdict.CONFIRMED,
                )
