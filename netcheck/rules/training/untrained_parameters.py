"""TS802: untrained parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph

_SHOWN = 3


class UntrainedParameters(StepRule):
    """The optimizer lacks parameters that ask for a gradient: they stay as they were initialized.

    ## What it does
    Compares the parameters of the optimizer with those of the model and of the loss.

    ## Why is this bad?
    They get gradients, and nothing steps them. Where the optimizer has others of the same shapes in their place, it was
    built before the layer was replaced, or before the model was moved to a device that makes new parameters.

    ## When it is fine
    With several optimizers: check with each, or freeze what another trains by requires_grad_(False).

    ## Evidence
    How many parameters are missing.

    ## References
    - PyTorch documentation of torch.optim, "Constructing it".
    """

    code = "TS802"
    name = "untrained-parameters"
    severity = Severity.WARNING
    plain = "A part of it is never trained, because nobody told the one who trains it"
    BAD = (
        Example(
            "the head is replaced after the optimizer is built",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model[2] = nn.Linear(32, 4)
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "all parameters",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all that are missing."""
        update = step.update
        if update is None or not update.missing:
            return
        shown = ", ".join(update.missing[:_SHOWN]) + (" ..." if len(update.missing) > _SHOWN else "")
        count = f"{len(update.missing)} of {update.parameters} parameters"
        why = "; it was built before they were replaced" if update.replaced else ""
        yield self.finding(
            f"{update.name} lacks {count} that ask for a gradient: {shown}{why}",
            help="build the optimizer after the model is complete, of all of model.parameters()",
            evidence=Evidence(len(update.missing), "parameters", f"{count} are in no group of the optimizer", limit=0),
            places=[update.place or graph.built_at("")],
            verdict=Verdict.CONFIRMED,
        )
