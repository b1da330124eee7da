"""TS808: epsilon in half."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph

_SMALLEST = 2.0**-24  # that float16 has


class EpsilonInHalf(StepRule):
    """Adam's epsilon is rounded to zero in half precision: a weight without a gradient becomes NaN.

    ## What it does
    Looks for parameters in float16 in an optimizer whose epsilon is less than the smallest number of float16.

    ## Why is this bad?
    Adam divides by √v + ε. Below 3e-8, float16 has only zero: where a gradient is zero, or so small that its square is, the
    step is 0 / 0.

    ## When it is fine
    With weights in float32 or bfloat16, or an epsilon of 1e-4.

    ## Evidence
    Epsilon and the smallest number of float16.

    ## References
    - PyTorch documentation of Adam: eps.
    """

    code = "TS808"
    name = "epsilon-in-half"
    severity = Severity.WARNING
    plain = "A small number that keeps it from dividing by zero is itself rounded to zero"
    BAD = (
        Example(
            "a model in float16",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
model = model.half()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
""",
            "half:32x16",
        ),
    )
    GOOD = (
        Example(
            "a model in float32",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all parameters in half precision."""
        update = step.update
        if update is not None and update.half and update.epsilon is not None and 0 < update.epsilon < _SMALLEST / 2:
            count = len(update.half)
            yield self.finding(
                f"{update.name}'s eps={update.epsilon:g} is 0 in float16, in which {count} parameters are",
                help="set eps=1e-4, or keep the weights in float32 and compute under torch.autocast",
                evidence=Evidence(update.epsilon, "", f"smallest number of float16: {_SMALLEST:.2g}", limit=_SMALLEST),
                places=[update.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
