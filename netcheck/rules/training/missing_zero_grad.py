"""TS101: gradients are never cleared."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, TrainingFile
from netcheck.source.training.steps import TrainingLoop, is_plain_optimizer, training_loops


class MissingZeroGrad(TrainingRule):
    """A loop calls backward and steps, and nothing in it clears the gradients: each step uses the sum of all before it.

    ## What it does
    Looks for the loops of a file in which `backward` is called and an optimizer of torch steps, with what the functions do
    that are called there, as far as the file has them.

    ## Why is this bad?
    `backward` adds to `.grad`. Without `zero_grad` the step after n batches uses the sum of n gradients, most of them of weights
    that are long gone: it is momentum without decay, and the loss oscillates or grows.

    ## When it is fine
    Where a function of another file, a hook or an engine that is given the optimizer or the model clears them, or the gradients
    are set by hand: nothing is said there.

    ## Evidence
    How often `zero_grad` is called in the loop: 0 times.

    ## References
    - PyTorch documentation of Optimizer.zero_grad; "Zeroing out gradients in PyTorch", PyTorch recipes.
    """

    code = "TS101"
    name = "missing-zero-grad"
    severity = Severity.WARNING
    plain = "Each step of the training uses what all batches before it asked for, because nothing clears that"
    fixable = Fixable("clear the gradients in the loop", safe=False)
    BAD = (
        Example(
            "backward and step alone",
            """
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "cleared before each backward",
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
        """One finding for each loop that clears nothing."""
        for loop in training_loops(training):
            if not loop.all(Act.CLEAR, Act.GRADIENT, Act.NAMED) and is_seen(loop):
                step, back = loop.all(Act.STEP)[0], loop.all(Act.BACKWARD)[0]
                before = any(event.act is Act.CLEAR for event in loop.course.events)
                elsewhere = "; it is called outside of the loop" if before else ""
                yield self.finding(
                    f"`{step.text}` in a loop that never clears the gradients: each step uses the sum of all so far",
                    help=f"call `{step.subject_name}.zero_grad()` in the loop, before `{back.text}` or after the step",
                    evidence=Evidence(0, "calls", f"zero_grad is called 0 times in the loop{elsewhere}", limit=1),
                    places=[step.place, loop.loop.place],
                    verdict=Verdict.CONFIRMED,
                )


def is_seen(loop: TrainingLoop) -> bool:
    """Whether the optimizers of a loop are plain ones made outside of it, and nothing unseen is handed what it trains."""
    made = {event.subject for event in loop.all(Act.MAKE, Act.ASSIGN)}
    if not all(is_plain_optimizer(step) for step in loop.optimizers.values()) or made.intersection(loop.optimizers):
        return False
    return not loop.hides(*loop.optimizers, *loop.models)
