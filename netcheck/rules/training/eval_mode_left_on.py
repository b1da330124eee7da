"""TS401: the model is put into eval mode while it trains, and never back."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.builders import file_index
from netcheck.source.training.calls import MODEL
from netcheck.source.training.events import Act, Course, Event, TrainingFile
from netcheck.source.training.reading import names_in
from netcheck.source.training.steps import holds, whole_courses
from netcheck.source.training.values import Role, role_of

MODES = re.compile(
    r"dropout|batch_?norm|instance_?norm|drop_?path|rnn|lstm|gru|transformer|attention|models$|timm", re.IGNORECASE
)


class EvalModeLeftOn(TrainingRule):
    """Each turn of the loop ends with `model.eval()`, and nothing in it calls `model.train()`: from the second epoch on the model
    trains in eval mode.

    ## What it does
    Looks for a loop that trains a model, then puts it into eval mode to validate, and in which nothing puts it back.

    ## Why is this bad?
    In eval mode dropout does nothing, and batch normalization uses running statistics that are never updated again: what is
    validated is a net whose normalization belongs to the weights of the first epoch.

    ## When it is fine
    Where eval mode is wanted while training (frozen statistics), and so set before the loop. A model whose class, in the file,
    names no dropout, no batch normalization and no other part that has modes is the same in both: then it is info.

    ## Evidence
    How often `train()` is called in the loop: 0 times.

    ## References
    - PyTorch documentation of Module.eval and Module.train.
    """

    code = "TS401"
    name = "eval-mode-left-on"
    severity = Severity.WARNING
    plain = "From the second round on it trains as if it were being tested"
    fixable = Fixable("turn training mode on at the beginning of each turn", safe=False)
    BAD = (
        Example(
            "train() once, eval() in each epoch",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model.train()
for epoch in range(30):
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
    GOOD = (
        Example(
            "both in each epoch",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
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
        """One finding for each model that stays in eval mode."""
        seen: set[int] = set()
        for course in whole_courses(training):
            for event in course.all(Act.EVAL):
                trained = left_on(event, course)
                if trained is not None and id(event.node) not in seen:
                    seen.add(id(event.node))
                    same = is_same_in_both(event.subject, course)
                    yield self.finding(
                        f"`{event.text}` in the loop that trains, and no `train()`: from its second turn it trains in eval mode",
                        help=f"call `{event.subject_name}.train()` at the beginning of each turn, before the batches",
                        evidence=Evidence(0, "calls", "train() is called 0 times in the loop", limit=1),
                        places=[event.place, trained.place],
                        severity=Severity.INFO if same else Severity.WARNING,
                        verdict=Verdict.CONFIRMED,
                    )


def left_on(event: Event, course: Course) -> Event | None:
    """Where the model of an `eval()` is trained in the same loop, which never puts it back; None if that is not so."""
    backward = [one for one in course.all(Act.BACKWARD) if one.loops[:1] == event.loops[:1] and event.loops]
    if not backward:
        return None
    inside = [one for one in course.events if one.loops[:1] == event.loops[:1]]
    here = inside.index(event)
    if any(one.act is Act.TRAIN for one in inside) or any(one.act is Act.CALL and one.touches(event.subject) for one in inside):
        return None
    if event.loop in backward[0].loops and event.loop is backward[0].loop:
        return None  # in the loop over the batches: it is meant
    trained = [one for one in inside[:here] if one.act is Act.FORWARD and one.subject == event.subject and one.grad is not False]
    trained = [one for one in trained if one.loop is backward[0].loop and inside.index(backward[0]) < here]
    used = [one for one in inside[here:] if one.act is Act.FORWARD and one.subject == event.subject]
    return trained[0] if trained and used and is_trained(event.subject, course) else None


def is_same_in_both(key: str, course: Course) -> bool:
    """Whether the class of a model stands in the file, and it and all its own parts name nothing that differs in eval mode."""
    name, made, _ = key.partition("@")
    index = file_index(course.scope)
    if not made or not index.scopes.get(name):
        return False
    return not any(MODES.search(one) for one in names_in(course.scope.file.tree)) and not index.stars


def is_trained(key: str, course: Course) -> bool:
    """Whether an optimizer of a course has a model's parameters; where no optimizer is built, as its name says."""
    made = [one for one in course.all(Act.MAKE) if role_of(one.value)[0] is Role.OPTIMIZER]
    if made:
        return any(holds(one.value, key) for one in made)
    return bool(MODEL.search(key.rpartition(".")[2].rpartition(":")[2]))
