"""TS708: loss without parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class LossWithoutParameters(StepRule):
    """No gradient leads from the loss to a parameter, or an output has no part in it.

    ## What it does
    Calls the model and the loss on one batch and asks autograd what the loss depends on.

    ## Why is this bad?
    Backward raises, or trains nothing. An output without a part in the loss is never trained: a head that was forgotten in
    the sum.

    ## When it is fine
    An output that is returned for other purposes: that is information.

    ## Evidence
    How many outputs the loss depends on.

    ## References
    - PyTorch documentation, "Autograd mechanics".
    """

    code = "TS708"
    name = "loss-without-parameters"
    severity = Severity.ERROR
    plain = "It learns nothing: what its errors are measured by is cut off from it"
    BAD = (
        Example(
            "a loss of the classes",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.randint(10, (32,))

def loss(output, targets):
    return (output.argmax(1) - targets).float().abs().mean()
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "a loss of the logits",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for a loss that is cut off, one for outputs without a part in it."""
        if step.value is not None and not step.connected:
            yield self.finding(
                "no gradient leads from the loss to a parameter",
                help="compute the loss of the output itself: no argmax, no .item(), no .detach(), no torch.no_grad()",
                evidence=Evidence(0, "ways", "0 ways lead from the loss to a parameter", limit=1),
                places=[step.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
        elif step.unused:
            names = ", ".join(map(str, step.unused))
            yield self.finding(
                f"the loss does not depend on output {names}: what only leads there is not trained",
                help="add its own loss, or leave it out of what the model returns in training",
                evidence=Evidence(len(step.unused), "outputs", f"outputs without a part in the loss: {names}", limit=0),
                places=[step.place or graph.built_at("")],
                severity=Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )
