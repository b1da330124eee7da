"""TS701: the training loop applies an activation that the loss does not take."""

from __future__ import annotations

import math
from collections.abc import Iterable

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, TrainingRule
from netcheck.source.locate import location
from netcheck.source.training.events import Act, TrainingFile
from netcheck.source.training.steps import loss_name, whole_courses
from netcheck.source.training.values import operation, peeled, settled

_LOGITS = "takes logits, and applies it again"
_LOGARITHMS = "takes log-probabilities"
_TAKES = {
    "CrossEntropyLoss": _LOGITS,
    "cross_entropy": _LOGITS,
    "BCEWithLogitsLoss": _LOGITS,
    "binary_cross_entropy_with_logits": _LOGITS,
    "NLLLoss": _LOGARITHMS,
    "nll_loss": _LOGARITHMS,
    "KLDivLoss": _LOGARITHMS,
    "kl_div": _LOGARITHMS,
}
_SQUASHING = {"softmax": "softmax", "Softmax": "softmax", "Softmax2d": "softmax", "sigmoid": "sigmoid", "Sigmoid": "sigmoid"}
_LEAST = {"softmax": math.log(1 + 9 / math.e), "sigmoid": math.log(1 + 1 / math.e)}  # cross-entropy of 10 classes, of 2


class ActivationBeforeLoss(TrainingRule):
    """The loop applies a softmax or sigmoid to the model's output, and gives it to a loss that takes logits or logarithms.

    ## What it does
    Follows the first argument of a loss of torch back to what computed it in the file: a softmax or sigmoid before
    `cross_entropy` or `binary_cross_entropy_with_logits`, a softmax without logarithm before `nll_loss` or `kl_div`. What forward
    itself applies is NC107's and NC111's.

    ## Why is this bad?
    Those losses apply the log-softmax, or the sigmoid, themselves. Of probabilities, which lie between 0 and 1, they see nearly
    equal logits: with 10 classes the loss cannot fall below 1.46, and the gradient shrinks. `nll_loss` of probabilities is no
    likelihood.

    ## When it is fine
    A softmax of targets, or for an accuracy, is no argument of the loss in question.

    ## Evidence
    The least loss that can be reached.

    ## References
    - PyTorch documentation of CrossEntropyLoss, BCEWithLogitsLoss, NLLLoss and KLDivLoss.
    """

    code = "TS701"
    name = "activation-before-loss"
    severity = Severity.WARNING
    plain = "It learns slowly: the last function is applied twice"
    BAD = (
        Example(
            "softmax, then cross_entropy",
            """
for x, y in loader:
    optimizer.zero_grad()
    probabilities = F.softmax(model(x), dim=1)
    loss = F.cross_entropy(probabilities, y)
    loss.backward()
    optimizer.step()
""",
        ),
    )
    GOOD = (
        Example(
            "logits for the loss, softmax beside it",
            """
for x, y in loader:
    optimizer.zero_grad()
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    loss.backward()
    optimizer.step()
    confidence = F.softmax(logits, dim=1).max()
""",
        ),
    )

    def check(self, training: TrainingFile) -> Iterable[Finding]:
        """One finding for each loss that is given what it does not take."""
        seen: set[int] = set()
        for course in whole_courses(training):
            for event in course.all(Act.LOSS):
                value = settled(event.value) if event.value is not None else None
                name = loss_name(value)
                first = value.argument(0, "input") if value is not None else None
                if name not in _TAKES or first is None or event.grad is False or id(event.node) in seen:
                    continue
                given = peeled(first)
                activation = _SQUASHING.get(operation(given), "")
                if not activation or given.node is None or given.scope is None:
                    continue
                seen.add(id(event.node))
                takes, least = _TAKES[name], _LEAST[activation]
                told = f"least loss that can be reached: {least:.2f} nats"
                told = f"{told} with {10 if activation == 'softmax' else 2} classes"
                if takes == _LOGARITHMS:
                    least, told = -1.0, "least loss that can be reached: −1 where a likelihood ends at 0"
                help = "give the loss the model's output as it is" if takes == _LOGITS else "use `F.log_softmax` in its place"
                yield self.finding(
                    f"{name} is given the result of a {activation}: it {takes}",
                    help=help,
                    evidence=Evidence(least, "nats", told, limit=0),
                    places=[location(given.node, given.scope), event.place],
                    verdict=Verdict.CONFIRMED,
                )
