"""TS702: the loss is given the target first."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, TrainingRule
from netcheck.source.training.events import Act, TrainingFile
from netcheck.source.training.steps import TAKES_PREDICTION_FIRST, loss_name, whole_courses
from netcheck.source.training.values import Value, peeled, settled


class SwappedLossArguments(TrainingRule):
    """A loss whose arguments are not alike is given the target first, and then the model's output.

    ## What it does
    Looks at cross-entropies, likelihoods and divergences of torch whose second argument is what a model returned, and whose first
    is an item of the loop over the data.

    ## Why is this bad?
    The loss is that of the labels under the model's output as targets: PyTorch raises for most, and where it does not (KL
    divergence, binary cross-entropy with labels 0 and 1) the gradient is another function's, or infinite.

    ## When it is fine
    Never; losses whose arguments are alike, such as MSELoss, are left alone.

    ## Evidence
    The place of the model's output among the arguments.

    ## References
    - PyTorch documentation of CrossEntropyLoss: input, then target.
    """

    code = "TS702"
    name = "swapped-loss-arguments"
    severity = Severity.ERROR
    plain = "The right answers and the model's answers have changed places"
    fixable = Fixable("give the output first, the target second", safe=False)
    BAD = (
        Example(
            "labels first",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = F.binary_cross_entropy(y, model(x))
    loss.backward()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "the output first",
            """
for x, y in loader:
    optimizer.zero_grad()
    loss = F.binary_cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loss with its arguments in the wrong order."""
        seen: set[int] = set()
        for course in whole_courses(training):
            outputs = {id(event.node) for event in course.all(Act.FORWARD)}
            for event in course.all(Act.LOSS):
                value = settled(event.value) if event.value is not None else Value()
                name = loss_name(value)
                first, second = value.argument(0, "input"), value.argument(1, "target")
                if name not in TAKES_PREDICTION_FIRST or first is None or second is None or id(event.node) in seen:
                    continue
                if is_of_loader(peeled(first)) and id(peeled(second).node) in outputs:
                    seen.add(id(event.node))
                    yield self.finding(
                        f"{name} is given the target first, and the model's output second",
                        help="give the model's output first: `loss(output, target)`",
                        evidence=Evidence(
                            2, "place", "the model's output is argument 2, and the loss takes it as argument 1", limit=1
                        ),
                        places=[event.place],
                        verdict=Verdict.CONFIRMED,
                    )


def is_of_loader(value: Value) -> bool:
    """Whether a value is an item of what a loop goes over, by no computation."""
    if isinstance(value.node, ast.Subscript):
        value = settled(value.of(value.node.value))
    whole = root_of(value)
    if whole is value:
        return False
    return whole.node is None or isinstance(whole.node, ast.Name | ast.Attribute) or is_enumeration(whole.node)


def root_of(value: Value) -> Value:
    """What a value is an item of an item of."""
    return value if value.part_of is None else root_of(value.part_of)


def is_enumeration(node: ast.expr) -> bool:
    """Whether an expression goes over something: `enumerate(loader)`, `tqdm(loader)`, `zip(x, y)`."""
    return isinstance(node, ast.Call) and (isinstance(node.func, ast.Name) and node.func.id in ("enumerate", "tqdm", "zip"))
