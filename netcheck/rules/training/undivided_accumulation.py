"""TS203: gradients of several batches are summed, and the loss is a mean."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.training.events import Act, Event, TrainingFile
from netcheck.source.training.steps import TrainingLoop, is_plain_optimizer, loss_name, training_loops
from netcheck.source.training.values import Value, expressions, peeled, role_of

_SCALE_FREE = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adafactor")


class UndividedAccumulation(TrainingRule):
    """Gradients are accumulated over k batches, and the loss, a mean, is not divided by k: the step is k times too long.

    ## What it does
    Looks for loops that call `backward` for each batch and step every k-th time (`if (i + 1) % k == 0`), where the loss is a mean
    over its batch and nothing divides it, the gradients or the learning rate by k.

    ## Why is this bad?
    The sum of k means is k times the mean over all samples: with SGD the learning rate is in effect k times what it says, and
    clipping to a norm cuts k times as much.

    ## When it is fine
    With an optimizer that divides by the gradient's size (Adam) it is of little consequence: then it is info. Where the learning
    rate was chosen for the sum.

    ## Evidence
    How many batches are summed, where the source says so.

    ## References
    - Goyal et al.: Accurate, Large Minibatch SGD, 2017: scaling the loss and the learning rate.
    """

    code = "TS203"
    name = "undivided-accumulation"
    severity = Severity.WARNING
    plain = "Each step is as many times too long as batches are gathered for it"
    BAD = (
        Example(
            "a mean for each of four batches",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for i, (x, y) in enumerate(loader):
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
""",
        ),
    )
    GOOD = (
        Example(
            "divided by their number",
            """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for i, (x, y) in enumerate(loader):
    loss = F.cross_entropy(model(x), y) / 4
    loss.backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loop that sums means."""
        for loop in training_loops(training):
            found = undivided(loop)
            if found is not None:
                back, step, count = found
                number = count.value if isinstance(count, ast.Constant) and isinstance(count.value, int) else 0
                text = ast.unparse(count)
                _, name = role_of(step.value)
                yield self.finding(
                    f"`{back.text}` adds up the gradients of {text} batches, each of a mean: the step is {text} times too long",
                    help=f"divide the loss by {text} before backward",
                    evidence=Evidence(float(number), "batches", f"batches whose gradients one step sums: {text}", limit=1),
                    places=[back.place, step.place],
                    severity=Severity.INFO if name in _SCALE_FREE or not name else Severity.WARNING,
                    verdict=Verdict.CONFIRMED,
                )


def undivided(loop: TrainingLoop) -> tuple[Event, Event, ast.expr] | None:
    """Backward and step of a loop that sums gradients of means, and over how many batches."""
    order = loop.all(Act.BACKWARD, Act.STEP)
    if len(order) != 2 or order[0].act is not Act.BACKWARD or loop.all(Act.GRADIENT) or not loop.single:
        return None
    back, step = order
    clears = [event for event in loop.all(Act.CLEAR) if event.subject == loop.single]
    if len(step.guards) != len(back.guards) + 1 or not back.happens_with(step) or not is_plain_optimizer(step):
        return None
    if not clears or any(clear.guards != step.guards for clear in clears) or loop.hides(loop.single, *loop.models, back.subject):
        return None
    count = period(loop, step)
    if count is None or back.value is None or not is_undivided_mean(back.value) or mentions(step.value, count):
        return None
    return back, step, count


def period(loop: TrainingLoop, step: Event) -> ast.expr | None:
    """The k of `if (i + 1) % k == 0:` around a step."""
    for node in ast.walk(loop.loop.node):
        if isinstance(node, ast.If) and any(inner is step.node for part in node.body for inner in ast.walk(part)):
            test = node.test
            modulo = test.left if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) else None
            if isinstance(modulo, ast.BinOp) and isinstance(modulo.op, ast.Mod):
                return modulo.right
    return None


def is_undivided_mean(value: Value) -> bool:
    """Whether what backward starts from is a mean over the batch, as it is."""
    found = peeled(value)
    name = loss_name(found)
    if not name or name in ("CTCLoss", "ctc_loss"):
        return False
    makers = [found, *(one for one in expressions(found) if isinstance(one.node, ast.Call))]
    return not any(one.keyword(word) is not None for one in makers for word in ("reduction", "reduce", "size_average"))


def mentions(value: Value | None, count: ast.expr) -> bool:
    """Whether what made the optimizer uses the number of batches: its learning rate may be divided by it."""
    wanted = {ast.unparse(count)} - {"1"}
    return value is not None and any(
        one.node is not None and ast.unparse(one.node) in wanted
        for one in expressions(value)
        if not isinstance(count, ast.Constant)
    )
