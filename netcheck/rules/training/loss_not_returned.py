"""TS901: a framework waits for a loss that is not returned."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.locate import location
from netcheck.source.scopes import FunctionNode
from netcheck.source.training.events import Act, Course, TrainingFile
from netcheck.source.training.steps import gives, is_automatic, whole_courses


class LossNotReturned(TrainingRule):
    """`training_step` or `compute_loss` computes a loss and does not return it, or not as its framework takes it.

    ## What it does
    Looks at the `training_step` of a LightningModule with automatic optimization, and at the `compute_loss` of a subclass of the
    Trainer of transformers: whether a loss is returned, and whether `return_outputs` is heeded.

    ## Why is this bad?
    Lightning takes a step without a loss for one that is to be skipped: nothing is trained, and a bar goes from left to right.
    The Trainer asks for `(loss, outputs)` when it evaluates, and fails to unpack a tensor.

    ## When it is fine
    With manual optimization.

    ## Evidence
    How many losses are returned: 0.

    ## References
    - Lightning documentation of training_step; transformers documentation of Trainer.compute_loss.
    """

    code = "TS901"
    name = "loss-not-returned"
    severity = Severity.ERROR
    plain = "The framework that trains it waits for a result that does not come back"
    BAD = (
        Example(
            "a training_step without return",
            """
import lightning as L

class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 2)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train_loss", loss)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
""",
        ),
    )
    GOOD = (
        Example(
            "with it",
            """
import lightning as L

class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 2)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each method that keeps its loss to itself, or ignores `return_outputs`."""
        for course in whole_courses(training):
            if not is_automatic(course, training) or not isinstance(course.scope.node, FunctionNode):
                continue
            returns = [event for event in course.all(Act.RETURN) if gives(event)]
            if not course.all(Act.RETURN, Act.BACKWARD) and computes_loss(course):
                yield self.of(
                    course,
                    f"`{course.method}` computes a loss and returns nothing: no step is taken",
                    "return the loss",
                    "0 losses are",
                )
            elif returns and ignores_outputs(course):
                yield self.of(
                    course,
                    "`compute_loss` ignores `return_outputs`: evaluation asks for the outputs, and gets a loss alone",
                    "write `return (loss, outputs) if return_outputs else loss`",
                    "0 outputs are",
                )

    def of(self, course: Course, message: str, help: str, told: str) -> Finding:
        """The finding on one method."""
        return self.finding(
            message,
            help=help,
            evidence=Evidence(0, "values", f"{told} returned", limit=1),
            places=[location(course.scope.node, course.scope)],
            verdict=Verdict.CONFIRMED,
        )


def computes_loss(course: Course) -> bool:
    """Whether a method computes a loss, or has something of that name."""
    if course.all(Act.LOSS):
        return True
    nodes = ast.walk(course.scope.node)
    return any(isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and "loss" in one.id.lower() for one in nodes)


def ignores_outputs(course: Course) -> bool:
    """Whether a `compute_loss` takes `return_outputs` and never reads it, and returns what is no pair."""
    node = course.scope.node
    assert isinstance(node, FunctionNode)
    names = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    read = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    pairs = any(isinstance(one, ast.Return) and isinstance(one.value, ast.Tuple | ast.Call) for one in ast.walk(node))
    return course.method == "compute_loss" and "return_outputs" in names - read and not pairs
