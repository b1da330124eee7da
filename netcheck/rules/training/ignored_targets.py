"""TS706: ignored targets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.trace.graph import ModelGraph


class IgnoredTargets(StepRule):
    """The loss ignores every target of the batch: it is 0 / 0, and its gradient NaN or nothing.

    ## What it does
    Counts the targets that are the loss's `ignore_index`.

    ## Why is this bad?
    The mean over no samples is NaN, and with the first such batch all weights are.

    ## When it is fine
    A part of the targets may be ignored: padding.

    ## Evidence
    The share of the targets that is ignored.

    ## References
    - PyTorch documentation of CrossEntropyLoss: ignore_index.
    """

    code = "TS706"
    name = "ignored-targets"
    severity = Severity.ERROR
    plain = "All answers that it is taught are left out"
    BAD = (
        Example(
            "padding that is a class of its own",
            """
model = nn.Sequential(nn.Linear(16, 10))
targets = torch.zeros(32, dtype=torch.long)
loss = nn.CrossEntropyLoss(ignore_index=0)
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "some padding",
            """
model = nn.Sequential(nn.Linear(16, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss(ignore_index=0)
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, if all are."""
        if step.targets is not None and step.targets.ignored == 1:
            yield self.finding(
                f"{step.loss} ignores all targets of this batch: the loss is {step.value:g}"
                if step.value is not None
                else "all ignored",
                help="give an ignore_index that is no class, such as -100, or other targets",
                evidence=Evidence(1.0, "share", "100 % of the targets are ignored", limit=1),
                places=[step.place or graph.built_at("")],
                verdict=Verdict.CONFIRMED,
            )
