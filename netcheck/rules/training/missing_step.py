"""TS103: the optimizer never steps."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import holds
from netcheck.source.training.values import Role, role_of


class MissingStep(TrainingRule):
    """An optimizer is built and backward is called in a loop, and nothing in the file steps it: the weights never change.

    ## What it does
    Looks for a file that builds an optimizer of torch, calls `backward` in a loop, and names no `step` but a scheduler's.

    ## Why is this bad?
    The gradients are computed and dropped. The loss is a flat line, and no error says so.

    ## When it is fine
    Where the optimizer is handed to something that is not seen, returned, or kept by a framework: nothing is said there.

    ## Evidence
    How often an optimizer steps in the file: 0 times.

    ## References
    - PyTorch documentation of Optimizer.step.
    """

    code = "TS103"
    name = "missing-step"
    severity = Severity.ERROR
    plain = "It learns nothing: what each batch asks for is computed, and never done"
    fixable = Fixable("step behind backward", safe=False)
    BAD = (
        Example(
            "zero_grad and backward alone",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
""",
        ),
    )
    GOOD = (
        Example(
            "with the step",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for the optimizer that never steps."""
        steps = training.all(Act.STEP) or [event for event in training.all(Act.NAMED) if event.text.endswith(".step")]
        scheduled = training.all(Act.SCHEDULE)
        if steps or training.classes or ("step" in training.names and not scheduled):
            return
        for course in training.courses:
            made = [event for event in course.all(Act.MAKE) if role_of(event.value)[0] is Role.OPTIMIZER]
            loops = [event for event in course.all(Act.BACKWARD) if event.loops]
            if course.whole and len(made) == 1 and loops and not leaves(made[0], training):
                yield self.finding(
                    f"`{loops[0].text}` in a loop, and `{made[0].subject_name}` never steps: the weights stay as they are",
                    help=f"call `{made[0].subject_name}.step()` after backward",
                    evidence=Evidence(0, "steps", "an optimizer's step is called 0 times in the file", limit=1),
                    places=[loops[0].place, made[0].place],
                    verdict=Verdict.CONFIRMED,
                )
                return


def leaves(made: Event, training: TrainingFile) -> bool:
    """Whether an optimizer gets to where it cannot be followed."""
    key = made.subject
    if any(event.touches(key) for event in training.all(Act.CALL)):
        return True
    return any(holds(event.value, key) for event in training.all(Act.RETURN, Act.KEEP)) or "." in key
