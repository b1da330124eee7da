"""TS501: losses are kept with their graphs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, Course, Event, TrainingFile
from netcheck.source.training.steps import carries, holds, losses_of, returned_loss, whole_courses
from netcheck.source.training.values import settled


class LossKeptWithGraph(TrainingRule):
    """The loss of each batch is added to a sum or a list as it is: the graph of every step is kept.

    ## What it does
    Looks for what is trained on in a loop (the tensor of `backward`, or what `training_step` returns) and goes into a sum or a
    list that outlives the batch, without `.item()` or `.detach()`.

    ## Why is this bad?
    Each loss holds its graph, and a sum of them the graphs of all: memory grows with every batch until the process ends.
    Backward frees the activations, and not the nodes of the graph; for a batch without backward both stay.

    ## When it is fine
    Where backward is called on the sum.

    ## Evidence
    How many graphs are kept for each batch: 1.

    ## References
    - PyTorch FAQ: "Don't accumulate history across your training loop".
    """

    code = "TS501"
    name = "loss-kept-with-graph"
    severity = Severity.WARNING
    plain = "The memory grows with every batch, until there is none left"
    fixable = Fixable("keep the loss without its graph: `.detach()`", safe=True)
    BAD = (
        Example(
            "a running sum of losses",
            """
total = 0
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    total += loss
""",
        ),
    )
    GOOD = (
        Example(
            "a running sum of numbers",
            """
total = 0
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    total += loss.item()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each place that keeps losses."""
        seen: set[int] = set()
        for course in whole_courses(training):
            losses = list(losses_of(course, training))
            for event in kept(course, losses):
                if id(event.node) not in seen:
                    seen.add(id(event.node))
                    yield self.finding(
                        f"`{event.text}` keeps the loss with its graph: memory grows with every batch",
                        help="keep the number: `.item()`, or `.detach()` to stay on the device",
                        evidence=Evidence(1, "graphs", "1 graph is kept for each batch", limit=0),
                        places=[event.place],
                        verdict=Verdict.CONFIRMED,
                    )


def kept(course: Course, losses: list[Event]) -> Iterator[Event]:
    """What puts a loss with its graph where it outlives the batch."""
    for loss in losses:
        assert loss.value is not None
        value = returned_loss(loss.value) if loss.act is Act.RETURN else settled(loss.value)
        if value.node is None or loss.loop is None or value.grad is False:
            continue
        for event in course.all(Act.KEEP):
            if loss.loop not in event.loops or event.grad is not True or not carries(event.value, value.node):
                continue
            used = any(holds(one.value, event.subject) or event.subject == one.subject for one in losses)
            hidden = any(one.touches(event.subject) for one in course.all(Act.CALL))
            if outlives(event, loss) and not used and not hidden:
                yield event


def outlives(event: Event, loss: Event) -> bool:
    """Whether what something is put into was there before the loop, and is not begun anew in it."""
    assert loss.loop is not None
    own = event.scope is loss.loop.scope
    if ":" in event.subject and not own:
        return False  # a variable of a function that is called in the loop
    if isinstance(loss.loop.node, ast.FunctionDef | ast.AsyncFunctionDef):
        return "." in event.subject
    name = event.subject.rpartition(":")[2]
    return not any(
        ast.unparse(target) in (name, name.replace("self.", ""))
        or ast.unparse(target).rpartition(".")[2] == name.rpartition(".")[2]
        for node in ast.walk(loss.loop.node)
        if isinstance(node, ast.Assign) and node is not event.node
        for target in node.targets
    )
