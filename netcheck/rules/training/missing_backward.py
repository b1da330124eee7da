"""TS104: nothing computes gradients."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.training.events import Act, TrainingFile
from netcheck.source.training.steps import TrainingLoop, is_plain_optimizer, whole_courses


class MissingBackward(TrainingRule):
    """A loop clears gradients, computes a loss and steps, and nothing calls backward: there are no gradients to step with.

    ## What it does
    Looks for a loop with a model, `zero_grad` and an optimizer's step in a file that names `backward` and `.grad` nowhere.

    ## Why is this bad?
    The step leaves out parameters whose gradient is None. The weights stay as they are, and no error says so.

    ## When it is fine
    Where what is not seen is handed the loss, the model or the optimizer: nothing is said there.

    ## Evidence
    How often `backward` is called in the file: 0 times.

    ## References
    - PyTorch documentation, "Optimizing Model Parameters": zero_grad, backward, step.
    """

    code = "TS104"
    name = "missing-backward"
    severity = Severity.ERROR
    plain = "It learns nothing: nobody computes in which direction to learn"
    BAD = (
        Example(
            "zero_grad and step alone",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "with backward",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop that steps without."""
        if training.classes or any("backward" in name.lower() or name == "grad" for name in training.names):
            return
        for course in whole_courses(training):
            for loop in dict.fromkeys(event.loop for event in course.all(Act.STEP)):
                if loop is None:
                    continue
                here = TrainingLoop(course, loop, tuple(event for event in course.events if loop in event.loops))
                if is_bare(here):
                    step = here.all(Act.STEP)[0]
                    yield self.finding(
                        f"`{step.text}` in a loop, and nothing in this file calls backward: there are no gradients to step with",
                        help="call `loss.backward()` between zero_grad and the step",
                        evidence=Evidence(0, "calls", "backward is called 0 times in the file", limit=1),
                        places=[step.place, loop.place],
                        verdict=Verdict.CONFIRMED,
                    )


def is_bare(loop: TrainingLoop) -> bool:
    """Whether a loop has all but backward, and nothing is hidden in it."""
    step = loop.all(Act.STEP)[0]
    if not loop.single or step.arguments or not is_plain_optimizer(step) or step.scaler:
        return False
    if not any(event.subject == loop.single for event in loop.all(Act.CLEAR)) or not loop.all(Act.FORWARD):
        return False
    losses = {event.subject for event in loop.all(Act.LOSS)}
    known = {loop.single, *loop.models, *losses}
    return bool(loop.all(Act.LOSS)) and not any(event.given for event in loop.all(Act.CALL)) and not loop.hides(*known)
