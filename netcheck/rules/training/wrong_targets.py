"""TS705: wrong targets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StepRule

if TYPE_CHECKING:
    from netcheck.figures.step import TrainingStep
    from netcheck.location import Location
    from netcheck.trace.graph import ModelGraph

_TRUTH = ("BCEWithLogitsLoss", "BCELoss", "binary_cross_entropy_with_logits", "binary_cross_entropy")


class WrongTargets(StepRule):
    """The targets do not fit the loss: class numbers beyond the classes, a wrong dtype, truth values outside of 0 to 1.

    ## What it does
    Looks at the targets of the batch and calls the loss on it.

    ## Why is this bad?
    On the CPU PyTorch raises; on CUDA a class number that is too large ends the process's use of the device with an
    assertion. BCEWithLogitsLoss takes any number, and its loss goes to minus infinity.

    ## When it is fine
    Never.

    ## Evidence
    The largest target and the number of classes; or what the loss raises.

    ## References
    - PyTorch documentation of CrossEntropyLoss: class indices in [0, C).
    """

    code = "TS705"
    name = "wrong-targets"
    severity = Severity.ERROR
    plain = "The answers that it is taught are not of the kind that its errors are measured by"
    BAD = (
        Example(
            "classes from 1 to 10",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10 + 1
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )
    GOOD = (
        Example(
            "from 0 to 9",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
targets = torch.arange(32) % 10
loss = nn.CrossEntropyLoss()
""",
            "32x16",
        ),
    )

    def check(self, step: TrainingStep, graph: ModelGraph) -> Iterable[Finding]:
        """One finding, for the first thing that is wrong."""
        told, place = step.targets, step.place or graph.built_at("")
        if told is not None and told.high is not None and told.low is not None:
            if step.classes and "float" not in told.dtype and not 0 <= told.low <= told.high < step.classes:
                yield self.of(
                    f"targets go from {told.low:g} to {told.high:g}, and the output has {step.classes} classes, from 0",
                    "number the classes from 0, or give the head as many outputs as there are",
                    Evidence(
                        told.high, "class", f"largest target {told.high:g} of {step.classes} classes", limit=step.classes - 1
                    ),
                    place,
                )
                return
            if step.loss in _TRUTH and not 0 <= told.low <= told.high <= 1:
                yield self.of(
                    f"{step.loss} takes targets from 0 to 1, and these go from {told.low:g} to {told.high:g}",
                    "divide them by their largest, or use a loss for numbers",
                    Evidence(told.high, "", f"targets from {told.low:g} to {told.high:g}", limit=1),
                    place,
                )
                return
        if step.error:
            yield self.of(
                f"{step.loss} raises on this output and these targets",
                f"make them what {step.loss} takes" + (f": targets are {told.dtype} {told.shape}" if told is not None else ""),
                Evidence(1, "", step.error, limit=0),
                place,
            )

    def of(self, message: str, help: str, evidence: Evidence, place: Location | None) -> Finding:
        """The finding for one thing that is wrong."""
        return self.finding(message, help=help, evidence=evidence, places=[place], verdict=Verdict.CONFIRMED)
