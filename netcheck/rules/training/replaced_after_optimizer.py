"""TS801: a part of the model is replaced after the optimizer was built."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.training.events import Act, Course, Event, TrainingFile
from netcheck.source.training.steps import holds, whole_courses
from netcheck.source.training.values import Role, role_of


class ReplacedAfterOptimizer(TrainingRule):
    """A layer is replaced after the optimizer was given the model's parameters: the new layer is never trained.

    ## What it does
    Looks for an optimizer that is built of `model.parameters()`, and then `model.fc = nn.Linear(...)`, before it steps.

    ## Why is this bad?
    The optimizer holds the parameters of the old layer, which no gradient reaches any more. The new one, often the head, stays
    as it was initialized.

    ## When it is fine
    Where the optimizer is built anew, or `add_param_group` is called.

    ## Evidence
    How many of the new layer's parameters the optimizer has: 0.

    ## References
    - PyTorch documentation of torch.optim, "Constructing it".
    """

    code = "TS801"
    name = "replaced-after-optimizer"
    severity = Severity.ERROR
    plain = "Its new part never learns, because it came too late"
    BAD = (
        Example(
            "the head comes last",
            """
import torchvision

model = torchvision.models.resnet18()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model.fc = nn.Linear(512, 10)
for x, y in loader:
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "the optimizer comes last",
            """
import torchvision

model = torchvision.models.resnet18()
model.fc = nn.Linear(512, 10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each layer that came too late."""
        for course in whole_courses(training):
            for made in course.all(Act.MAKE):
                if role_of(made.value)[0] is not Role.OPTIMIZER:
                    continue
                for late in replaced(made, course):
                    yield self.finding(
                        f"`{late.text}` comes after `{made.subject_name}` was built: the optimizer has none of its parameters",
                        help="build the optimizer after the model is complete",
                        evidence=Evidence(0, "parameters", "0 of the new layer's parameters are in the optimizer", limit=1),
                        places=[late.place, made.place],
                        verdict=Verdict.CONFIRMED,
                    )


def replaced(made: Event, course: Course) -> list[Event]:
    """The layers that are put into a model after an optimizer was built of its parameters, before that steps."""
    here = course.events.index(made)
    steps = [event for event in course.all(Act.STEP) if event.subject == made.subject and course.events.index(event) > here]
    if not steps:
        return []
    until = course.events.index(steps[0])
    between = course.events[here + 1 : until]
    if any(event.act in (Act.MAKE, Act.PARAMETERS) and event.subject == made.subject for event in between):
        return []
    if any(event.act is Act.CALL and event.touches(made.subject) for event in between):
        return []
    layers = [event for event in between if event.act is Act.ASSIGN and event.happens_with(steps[0])]
    return [event for event in layers if "." in event.subject and holds(made.value, event.subject.rpartition(".")[0])]
