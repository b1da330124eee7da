"""TS902: a LightningModule steps by hand, and Lightning steps as well."""

from __future__ import annotations

from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.training.events import Act, TrainingFile
from netcheck.source.training.steps import gives, is_automatic, whole_courses


class StepByHand(TrainingRule):
    """`training_step` calls backward or steps an optimizer itself, and automatic optimization, which does the same, is on.

    ## What it does
    Looks at the `training_step` of a LightningModule in a file that names `automatic_optimization` nowhere.

    ## Why is this bad?
    Lightning calls backward on the loss that comes back: a second time, which raises, or on a graph whose weights have changed
    since. `self.manual_backward` raises. With manual calls and a returned loss each batch is stepped on twice.

    ## When it is fine
    With `self.automatic_optimization = False`.

    ## Evidence
    How often backward is called for one batch: twice.

    ## References
    - Lightning documentation, "Manual Optimization".
    """

    code = "TS902"
    name = "step-by-hand"
    severity = Severity.ERROR
    plain = "It is trained twice for each batch, or not at all: by the code and by the framework"
    BAD = (
        Example(
            "backward in training_step",
            """
import lightning as L

class Classifier(L.LightningModule):
    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss
""",
        ),
    )
    GOOD = (
        Example(
            "manual optimization",
            """
import lightning as L

class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each training_step that does both."""
        plain = {id(one.scope) for one in training.classes if one.plain}
        for course in whole_courses(training):
            if course.kind != "lightning" or not is_automatic(course, training) or id(course.scope.parent) not in plain:
                continue
            backward = course.all(Act.BACKWARD)
            returned = any(map(gives, course.all(Act.RETURN)))
            manual = any(event.text.startswith("self.manual_backward") for event in backward)
            if backward and (returned or manual):
                yield self.finding(
                    f"`{backward[0].text}` in training_step, and optimization is automatic: Lightning "
                    + ("refuses it" if manual else "calls backward on what is returned"),
                    help="set `self.automatic_optimization = False` in __init__, or leave backward and step to Lightning",
                    evidence=Evidence(2, "calls", "backward is called 2 times for one batch", limit=1),
                    places=[backward[0].place],
                    verdict=Verdict.CONFIRMED,
                )
