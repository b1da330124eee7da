"""TS201: gradients are clipped when it is too late, or too early."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import TrainingLoop, training_loops


class MisplacedClipping(TrainingRule):
    """Gradients are clipped after the step, or before backward: what steps is not clipped.

    ## What it does
    Looks at the order of `backward`, `clip_grad_norm_` (or `clip_grad_value_`) and the step of the one optimizer in a loop.

    ## Why is this bad?
    Clipping changes the gradients that are there. After the step they have been used, and before backward they are those of the
    batch before, or none: the large step that clipping is to prevent is taken.

    ## When it is fine
    Where the clipping stands between backward and the step.

    ## Evidence
    How many calls that clip lie between backward and the step: 0.

    ## References
    - Pascanu, Mikolov, Bengio: On the difficulty of training recurrent neural networks, 2013.
    """

    code = "TS201"
    name = "misplaced-clipping"
    severity = Severity.WARNING
    plain = "Steps that are too long are shortened when it is too late, or too early"
    fixable = Fixable("clip before the step", safe=False)
    BAD = (
        Example(
            "clipped after the step",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
""",
        ),
    )
    GOOD = (
        Example(
            "clipped between backward and the step",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop that clips at another place."""
        for loop in training_loops(training):
            found = misplaced(loop)
            if found is not None:
                clip, step, where = found
                yield self.finding(
                    f"`{clip.text}` stands {where}: the gradients that `{step.text}` uses are not clipped",
                    help=f"move it between backward and `{step.text}`",
                    evidence=Evidence(0, "calls", "0 calls clip between backward and the step", limit=1),
                    places=[clip.place, step.place],
                    verdict=Verdict.CONFIRMED,
                )


def misplaced(loop: TrainingLoop) -> tuple[Event, Event, str] | None:
    """The only clipping of a loop, its step and where the clipping stands, if that is not between backward and the step."""
    order = loop.all(Act.BACKWARD, Act.CLIP, Act.STEP)
    acts = [event.act for event in order]
    if sorted(acts) != sorted((Act.BACKWARD, Act.CLIP, Act.STEP)):
        return None
    clip, step = loop.all(Act.CLIP)[0], loop.all(Act.STEP)[0]
    if clip.guards != step.guards or clip.loops != step.loops:
        return None
    if acts == [Act.BACKWARD, Act.STEP, Act.CLIP]:
        return clip, step, "after the step"
    if acts == [Act.CLIP, Act.BACKWARD, Act.STEP]:
        return clip, step, "before backward"
    return None
