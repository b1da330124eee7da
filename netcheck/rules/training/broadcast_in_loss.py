"""TS704: broadcast in loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class BroadcastInLoss(StepRule):
    """The loss spreads output and targets over each other: (N, 1) and (N) give N² differences instead of N.

    ## What it does
    Listens to the operations of the loss on the batch that was given, for two tensors of as many numbers whose shapes
    differ.

    ## Why is this bad?
    Each output is compared with the targets of all samples. The best answer is then the mean of the targets, whatever the
    input, and no error says so; PyTorch warns of it in mse_loss alone.

    ## When it is fine
    Where all pairs are meant, as in a contrastive loss, they come from one tensor or go through a matrix product.

    ## Evidence
    How many differences there are for each number of the output.

    ## References
    - PyTorch documentation, "Broadcasting semantics".
    """

    code = "TS704"
    name = "broadcast-in-loss"
    severity = Severity.ERROR
    plain = "Each of its answers is compared with those of all other samples"
    BAD = (
        Example(
            "(N, 1) against (N)",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
targets = torch.randn(32)
loss = nn.MSELoss()
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "as many dimensions",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
targets = torch.randn(32, 1)
loss = nn.MSELoss()
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, if an operation of the loss did so."""
        if step.broadcast:
            one, other = step.broadcast
            count = max(math.prod(one), 1)
            yield self.finding(
                f"the loss spreads {one} and {other} over each other: {count * count:,} differences of {count:,} numbers",
                help="give both the same shape: output.squeeze(-1), or targets.unsqueeze(-1)",
                evidence=Evidence(count, "times", f"{count:,} differences for each number of the output", limit=1),
                places=[step.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
