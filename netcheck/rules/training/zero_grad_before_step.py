"""TS102: gradients are cleared between backward and the step."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import TrainingLoop, training_loops


class ZeroGradBeforeStep(TrainingRule):
    """The gradients are cleared between backward and the optimizer's step: nothing is ever learned.

    ## What it does
    Looks at the order of `backward`, `zero_grad` and `step` of the one optimizer in a loop.

    ## Why is this bad?
    The step finds gradients that are None or zero. The weights stay as they are (or follow weight decay alone), and no error
    says so.

    ## When it is fine
    Where another `backward` stands between `zero_grad` and the step, or the gradients are taken out and put back by hand.

    ## Evidence
    How many calls of `backward` lie between `zero_grad` and the step: 0.

    ## References
    - PyTorch documentation, "Optimizing Model Parameters": zero_grad, backward, step.
    """

    code = "TS102"
    name = "zero-grad-before-step"
    severity = Severity.ERROR
    plain = "It learns nothing: what each batch asks for is thrown away right before it would be used"
    fixable = Fixable("clear the gradients before backward", safe=False)
    BAD = (
        Example(
            "zero_grad right before the step",
            """
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "zero_grad after the step",
            """
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop in which that is the order."""
        for loop in training_loops(training):
            found = cleared(loop)
            if found is not None:
                clear, step = found
                yield self.finding(
                    f"`{clear.text}` stands between backward and `{step.text}`: the step finds no gradients",
                    help=f"move `{clear.text}` in front of backward, or behind `{step.text}`",
                    evidence=Evidence(0, "calls", "backward is called 0 times between zero_grad and the step", limit=1),
                    places=[clear.place, step.place],
                    verdict=Verdict.CONFIRMED,
                )


def cleared(loop: TrainingLoop) -> tuple[Event, Event] | None:
    """The zero_grad that takes all gradients from a step, and that step; None where a step has gradients."""
    if not loop.single or loop.all(Act.GRADIENT) or loop.hides(loop.single, *loop.models):
        return None
    order = loop.all(Act.BACKWARD, Act.CLEAR, Act.STEP)
    backward, steps = [event for event in order if event.act is Act.BACKWARD], loop.all(Act.STEP)
    clears = [event for event in order if event.act is Act.CLEAR and event.subject == loop.single]
    if len(steps) != 1 or not clears:
        return None
    step = steps[0]
    here = order.index(step)
    before = [event for event in order[:here] if event in clears and event.happens_with(step)]
    if before:
        last = before[-1]
        return None if any(event.act is Act.BACKWARD for event in order[order.index(last) : here]) else (last, step)
    last = clears[-1]
    if order.index(last) > order.index(backward[-1]) > here and last.happens_with(step) and not order[:here]:
        return last, step  # of the turn before
    return None
