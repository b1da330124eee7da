"""TS805: decayed norms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class DecayedNorms(StepRule):
    """Weight decay pulls on normalizations, biases and embeddings as well.

    ## What it does
    Looks for these in groups of the optimizer that have a weight decay.

    ## Why is this bad?
    Decay is there to keep weight matrices small. A normalization's weight that decays shrinks the signal, a bias gains
    nothing by it, and rare rows of an embedding fade.

    ## When it is fine
    It is common, and mostly costs little: information.

    ## Evidence
    How many such parameters have decay.

    ## References
    - He et al.: Bag of Tricks for Image Classification, 2018: no bias decay.
    """

    code = "TS805"
    name = "decayed-norms"
    severity = Severity.INFO
    plain = "Parts that should keep their size are pulled towards zero"
    BAD = (
        Example(
            "AdamW over all",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "two groups",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
parameters = list(model.parameters())
no_decay = [p for p in parameters if p.dim() < 2]
decay = [p for p in parameters if p.dim() > 1]
optimizer = torch.optim.AdamW([{'params': decay}, {'params': no_decay, 'weight_decay': 0.0}], lr=1e-3)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all that have decay."""
        update = step.update
        if update is not None and update.decayed:
            count = len(update.decayed)
            yield self.finding(
                f"weight decay {update.decay:g} also on {count} normalizations, biases and embeddings",
                help="put them into a group of their own with weight_decay=0",
                evidence=Evidence(
                    count, "parameters", f"{count} such parameters, among them {', '.join(update.decayed[:3])}", limit=0
                ),
                places=[update.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
