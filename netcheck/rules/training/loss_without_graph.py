"""TS106: backward starts from a tensor that no gradient leads back from."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.locate import location
from netcheck.source.training.events import Act, Course, Event, TrainingFile
from netcheck.source.training.steps import losses_of, returned_loss, whole_courses, without_graph
from netcheck.source.training.values import Value, settled


class LossWithoutGraph(TrainingRule):
    """Backward starts from a tensor that is cut off from the model: no parameter gets a gradient, or PyTorch raises.

    ## What it does
    Follows the tensor whose `backward` is called, or that `training_step` or `compute_loss` returns, back to what computed it:
    `torch.tensor(...)`, `.item()`, `.detach()`, `.data`, `argmax`, or a forward pass under `torch.no_grad()`.

    ## Why is this bad?
    PyTorch raises "does not require grad" at backward. Who then asks for `requires_grad=True` to have it silent trains nothing:
    the new tensor is a leaf, and the model is not behind it.

    ## When it is fine
    Never, where the loss is to train the model.

    ## Evidence
    How many ways lead from the loss back to the model: 0.

    ## References
    - PyTorch documentation, "Autograd mechanics": setting requires_grad.
    """

    code = "TS106"
    name = "loss-without-graph"
    severity = Severity.ERROR
    plain = "It learns nothing: what the training starts from is cut off from the model"
    BAD = (
        Example(
            "a new tensor made of the loss",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = torch.tensor(F.cross_entropy(model(x), y).item(), requires_grad=True)
    loss.backward()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "the loss itself",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print(loss.item())
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loss that is cut off."""
        found: dict[int, list[tuple[Event, Value, str]]] = {}
        for course in whole_courses(training):
            for event in losses_of(course, training):
                assert event.value is not None
                value = returned_loss(event.value) if event.act is Act.RETURN else settled(event.value)
                reason = without_graph(value)
                certain = not reason.endswith("turned off") or is_meant(event, course)
                found.setdefault(id(event.node), []).append((event, value, reason if certain else ""))
        for ways in found.values():
            event, value, reason = ways[0]
            if all(why for _, _, why in ways) and value.node is not None and value.scope is not None:
                yield self.finding(
                    f"the loss that backward starts from {reason}: no gradient reaches the model",
                    help="compute the loss from the model's output as it is, and call backward on it; `.item()` is for printing",
                    evidence=Evidence(0, "ways", "0 ways lead from this tensor back to a parameter", limit=1),
                    places=[location(value.node, value.scope), event.place],
                    verdict=Verdict.CONFIRMED,
                )


def is_meant(event: Event, course: Course) -> bool:
    """Whether backward follows whenever the model is called before it, where that records nothing: no branch leaves it out."""
    before = course.events[: course.events.index(event)]
    called = [one for one in before if one.act in (Act.FORWARD, Act.LOSS) and one.grad is False]
    return event.act is Act.RETURN or bool(called and called[-1].guards == event.guards)
