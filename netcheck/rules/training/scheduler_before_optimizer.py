"""TS301: the scheduler steps before the optimizer."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import whole_courses
from netcheck.source.training.values import Role, role_of


class SchedulerBeforeOptimizer(TrainingRule):
    """The scheduler steps before the optimizer does: the first learning rate of the schedule is never used.

    ## What it does
    Looks for a loop in which a scheduler of torch steps, without an argument, and the optimizer only after it.

    ## Why is this bad?
    Since PyTorch 1.1 a scheduler sets the first value when it is built. A step before the optimizer's skips it: all values come
    one turn early, which of a warm-up, a one-cycle or a schedule of few epochs is a part. PyTorch warns of it while training.

    ## When it is fine
    With an epoch as argument, as schedulers of other libraries take it.

    ## Evidence
    How often the optimizer steps before the scheduler's first step: 0 times.

    ## References
    - PyTorch documentation of torch.optim, "How to adjust learning rate".
    """

    code = "TS301"
    name = "scheduler-before-optimizer"
    severity = Severity.WARNING
    plain = "The schedule of the step length begins one turn too early"
    fixable = Fixable("step the scheduler behind the optimizer", safe=False)
    BAD = (
        Example(
            "at the top of the epoch",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)
for epoch in range(30):
    scheduler.step()
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "at its end",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)
for epoch in range(30):
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    scheduler.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each scheduler that comes first."""
        seen: set[int] = set()
        for course in whole_courses(training):
            events = course.events
            for schedule in course.all(Act.SCHEDULE):
                step = next((event for event in events if event.act is Act.STEP), None)
                if step is None or id(schedule.node) in seen or not comes_first(schedule, step, events):
                    continue
                seen.add(id(schedule.node))
                yield self.finding(
                    f"`{schedule.text}` comes before `{step.text}`: the first learning rate of the schedule is skipped",
                    help=f"move `{schedule.text}` behind `{step.text}`, or behind the loop over the batches",
                    evidence=Evidence(0, "steps", "the optimizer steps 0 times before the scheduler's first step", limit=1),
                    places=[schedule.place, step.place],
                    verdict=Verdict.CONFIRMED,
                )


def comes_first(schedule: Event, step: Event, events: tuple[Event, ...]) -> bool:
    """Whether a scheduler of torch steps, in each turn of a loop, before the first step of the optimizer in the whole program."""
    if schedule.arguments or not schedule.loops or role_of(schedule.value)[0] is not Role.SCHEDULER:
        return False
    return schedule.happens_with(step) and events.index(schedule) < events.index(step)
