"""TS105: the step comes before backward."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.rules.training.zero_grad_before_step import cleared
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import TrainingLoop, training_loops
from netcheck.source.training.values import settled


class StepBeforeBackward(TrainingRule):
    """The optimizer steps between the forward pass and backward: the step uses the gradients of the batch before, and changes the
    weights that backward needs.

    ## What it does
    Looks at the one optimizer of a loop whose step stands behind what computes the loss and in front of its `backward`.

    ## Why is this bad?
    The step changes weights in place that backward has saved: PyTorch raises "modified by an inplace operation" where one of them
    is needed. Where none is, each step is one batch late, and the last batch is lost.

    ## When it is fine
    Where the step opens the turn of the loop, before the forward pass.

    ## Evidence
    How many calls of `backward` stand in front of the step in the loop: 0.

    ## References
    - PyTorch documentation, "Autograd mechanics": in-place correctness checks.
    """

    code = "TS105"
    name = "step-before-backward"
    severity = Severity.ERROR
    plain = "Each step is taken before it is known in which direction"
    fixable = Fixable("step behind backward", safe=False)
    BAD = (
        Example(
            "step, then backward",
            """
for x, y in loader:
    loss = criterion(model(x), y)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
""",
        ),
    )
    GOOD = (
        Example(
            "backward, then step",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop with that order."""
        for loop in training_loops(training):
            found = early(loop)
            if found is not None:
                step, back = found
                yield self.finding(
                    f"`{step.text}` stands between the forward pass and `{back.text}`: it knows nothing of this batch",
                    help=f"move `{step.text}` behind `{back.text}`",
                    evidence=Evidence(0, "calls", "backward is called 0 times before the step in the loop", limit=1),
                    places=[step.place, back.place],
                    verdict=Verdict.CONFIRMED,
                )


def early(loop: TrainingLoop) -> tuple[Event, Event] | None:
    """The step of a loop that stands between a loss and its backward, and that backward."""
    if not loop.single or loop.all(Act.GRADIENT) or loop.hides(loop.single, *loop.models) or cleared(loop) is not None:
        return None
    order = loop.all(Act.BACKWARD, Act.STEP)
    step = order[0]
    if step.act is not Act.STEP or len(order) != 2 or not step.happens_with(order[1]):
        return None
    back = order[1]
    value = settled(back.value) if back.value is not None else None
    if value is None or value.node is None or value.order > loop.course.events.index(step):
        return None
    return (step, back) if loop.events and value.order > loop.course.events.index(loop.events[0]) else None
