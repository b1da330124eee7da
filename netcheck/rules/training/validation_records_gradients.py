"""TS402: validation records a graph that nobody uses."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, Course, Event, TrainingFile
from netcheck.source.training.steps import whole_courses

_OWN_WAYS = frozenset(("volatile", "set_grad_enabled", "is_grad_enabled"))  # names of a file that turns gradients off by itself


class ValidationRecordsGradients(TrainingRule):
    """A model is validated in a loop without `torch.no_grad()`: every batch builds a graph for a backward that never comes.

    ## What it does
    Looks, in programs that train, for a loop behind `model.eval()` that calls the model, and neither calls backward nor reads a
    gradient, where nothing turns gradients off.

    ## Why is this bad?
    All activations of a batch are kept until its output is gone: a pass takes the memory of a training step, which is why
    validation runs out of memory at a batch size that training takes. Outputs or losses that are kept keep their graphs.

    ## When it is fine
    Where gradients are needed: for an attack, a penalty, a saliency map.

    ## Evidence
    How many of the model's calls in the loop are under `no_grad`: 0.

    ## References
    - PyTorch documentation of torch.no_grad; "Locally disabling gradient computation".
    """

    code = "TS402"
    name = "validation-records-gradients"
    severity = Severity.WARNING
    plain = "Testing it takes as much memory as training it, for nothing"
    fixable = Fixable("validate under `torch.no_grad()`", safe=True)
    BAD = (
        Example(
            "eval() alone",
            """
for epoch in range(30):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    for x, y in valid_loader:
        correct = (model(x).argmax(1) == y).sum()
""",
        ),
    )
    GOOD = (
        Example(
            "with no_grad",
            """
for epoch in range(30):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        for x, y in valid_loader:
            correct = (model(x).argmax(1) == y).sum()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop that validates so."""
        if training.names & _OWN_WAYS:
            return
        seen: set[int] = set()
        for course in whole_courses(training):
            if course.kind or not course.all(Act.BACKWARD) or not is_program(course):
                continue
            for event in course.all(Act.FORWARD):
                if id(event.node) not in seen and is_wasted(event, course):
                    seen.add(id(event.node))
                    yield self.finding(
                        f"`{event.text}` is called in eval mode, and records a graph for a backward that never comes",
                        help="put `with torch.no_grad():` around the loop, or `@torch.no_grad()` over the function",
                        evidence=Evidence(0, "calls", "0 of the loop's calls of the model are under torch.no_grad()", limit=1),
                        places=[event.place],
                        verdict=Verdict.CONFIRMED,
                    )


def is_program(course: Course) -> bool:
    """Whether all that stands around a course is in it: it begins at the top of a file, or with a function of epochs."""
    return isinstance(course.scope.node, ast.Module) or any(len(event.loops) > 1 for event in course.all(Act.BACKWARD))


def is_wasted(event: Event, course: Course) -> bool:
    """Whether a model's call in a loop, behind its `eval()`, records a graph of which nothing is used."""
    if event.grad is not True or event.loop is None:
        return False
    here = course.events.index(event)
    mode = [one for one in course.events[:here] if one.act in (Act.TRAIN, Act.EVAL) and one.subject == event.subject]
    if not mode or mode[-1].act is not Act.EVAL or not mode[-1].happens_with(event) or event.loop in mode[-1].loops[:-1]:
        return False
    inside = [one for one in course.events if event.loop in one.loops]
    if any(one.act in (Act.BACKWARD, Act.STEP, Act.GRADIENT, Act.TRAIN) for one in inside):
        return False
    return not any(one.act is Act.CALL and one.touches(event.subject) for one in inside)
