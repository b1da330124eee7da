"""TS302: a schedule that counts batches is stepped once an epoch."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.builders import dotted
from netcheck.source.locate import location
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import whole_courses
from netcheck.source.training.values import Value, full_name, role_of, settled


class OneCyclePerEpoch(TrainingRule):
    """OneCycleLR is built for as many steps as there are batches, and stepped once an epoch: the cycle never gets anywhere.

    ## What it does
    Looks for a `OneCycleLR` with `steps_per_epoch`, or a `total_steps` that counts batches, whose step stands in a loop around
    the one over the batches; in a LightningModule, for one that `configure_optimizers` returns without `"interval": "step"`.

    ## Why is this bad?
    After all epochs the schedule is where it should be after that many batches: at the beginning of the warm-up, with a
    learning rate of a twenty-fifth of the one that was asked for.

    ## When it is fine
    Where `steps_per_epoch=1`.

    ## Evidence
    Steps of the scheduler in an epoch.

    ## References
    - PyTorch documentation of OneCycleLR: "step should be called after a batch has been used for training".
    """

    code = "TS302"
    name = "one-cycle-per-epoch"
    severity = Severity.WARNING
    plain = "The schedule of the step length hardly begins before the training ends"
    BAD = (
        Example(
            "stepped behind the loop over the batches",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=30, steps_per_epoch=len(loader))
for epoch in range(30):
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    scheduler.step()
""",
        ),
    )
    GOOD = (
        Example(
            "stepped with each batch",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=30, steps_per_epoch=len(loader))
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
        """One finding for each such scheduler."""
        for course in whole_courses(training):
            steps = course.all(Act.STEP)
            for event in course.all(Act.SCHEDULE):
                value = settled(event.value) if event.value is not None else Value()
                if (
                    role_of(value)[1] == "OneCycleLR"
                    and counts_batches(value.node)
                    and steps
                    and all(is_outside(event, s) for s in steps)
                ):
                    yield self.of(
                        [event.place], event.text, "move it into the loop over the batches, behind the optimizer's step"
                    )
        for one in training.classes:
            method = one.methods.get("configure_optimizers")
            if one.kind == "lightning" and method is not None:
                for call in forgotten(method.node):
                    if full_name(call.func, method).endswith("lr_scheduler.OneCycleLR"):
                        help = 'return {"scheduler": scheduler, "interval": "step"} as the scheduler'
                        yield self.of([location(call, method)], "configure_optimizers", help)

    def of(self, places: list[object], text: str, help: str) -> Finding:
        """The finding for one scheduler."""
        return self.finding(
            f"`{text}` has OneCycleLR step once an epoch, and it was built for one step a batch: the cycle hardly begins",
            help=help,
            evidence=Evidence(1, "steps", "1 step of the scheduler in an epoch, for one in each batch", limit=1),
            places=places,  # type: ignore[arg-type]
            verdict=Verdict.CONFIRMED,
        )


def counts_batches(node: ast.expr | None) -> bool:
    """Whether a call is given how many batches there are."""
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg == "steps_per_epoch":
            return not isinstance(keyword.value, ast.Constant)
        if keyword.arg == "total_steps":
            inner = list(ast.walk(keyword.value))
            lengths = any(isinstance(one, ast.Call) and dotted(one.func) == "len" for one in inner)
            return lengths or any(isinstance(one, ast.Attribute) and one.attr == "estimated_stepping_batches" for one in inner)
    return False


def is_outside(schedule: Event, step: Event) -> bool:
    """Whether a scheduler steps in a loop around the one in which the optimizer does."""
    depth = len(schedule.loops)
    return 0 < depth < len(step.loops) and step.loops[:depth] == schedule.loops


def forgotten(function: ast.AST) -> Iterator[ast.Call]:
    """The schedulers for batches in a function that says nowhere that they step with each."""
    nodes = list(ast.walk(function))
    if any(isinstance(one, ast.Constant) and one.value == "step" for one in nodes):
        return
    yield from (one for one in nodes if isinstance(one, ast.Call) and counts_batches(one))
