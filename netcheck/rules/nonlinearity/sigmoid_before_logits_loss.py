"""NC111: a loss is given what it does not take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.helpers.authors_file import used_around
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.losses import given_to, name_of
from netcheck.trace.questions.neighbours import UNCHANGED, ends, results

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_TAKES_LOGITS = frozenset(("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"))
_TAKES_PROBABILITIES = frozenset(("BCELoss", "binary_cross_entropy"))
_TAKES_LOGARITHMS = frozenset(("NLLLoss", "NLLLoss2d", "nll_loss", "nll_loss_nd"))
_FEWEST = 0.313  # log(1 + 1/e): BCEWithLogits of a sample of class 1 whose sigmoid is 1


class SigmoidBeforeLogitsLoss(StaticRule):
    """A loss is given a sigmoid's output where it takes logits, or logits where it takes probabilities.

    ## What it does
    Looks at the losses that forward computes: a sigmoid before `binary_cross_entropy_with_logits`, a linear or convolutional
    layer right before `binary_cross_entropy`, a softmax without logarithm before `nll_loss`. Of a model that returns a
    sigmoid's output it says so where the file uses `BCEWithLogitsLoss`, and no `BCELoss`. What `CrossEntropyLoss` is given is
    NC107's.

    ## Why is this bad?
    `BCEWithLogitsLoss` applies the sigmoid itself. On probabilities it sees logits between 0 and 1: no sample can lose less
    than log(1 + 1/e) = 0.31 nats as class 1, or log 2 = 0.69 as class 0, and the gradient shrinks. `nll_loss` of
    probabilities is no likelihood: it goes on falling below zero.

    ## When it is fine
    Never, where the loss is that of the sigmoid; a gate inside of the model is no result.

    ## Evidence
    The least loss that can be reached.

    ## References
    - PyTorch documentation of BCEWithLogitsLoss: "combines a Sigmoid layer and the BCELoss in one single class".
    """

    code = "NC111"
    name = "sigmoid-before-logits-loss"
    severity = Severity.WARNING
    explained_by = ("TS703",)
    plain = "The loss is given numbers of the wrong sort, probabilities for scores or scores for probabilities"
    BAD = (
        Example(
            "a sigmoid, and BCEWithLogitsLoss in the file",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(16, 32), nn.Linear(32, 1)

    def forward(self, x):
        return torch.sigmoid(self.out(F.relu(self.hidden(x))))

model = Net()
criterion = nn.BCEWithLogitsLoss()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "logits",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(16, 32), nn.Linear(32, 1)

    def forward(self, x):
        return self.out(F.relu(self.hidden(x)))

model = Net()
criterion = nn.BCEWithLogitsLoss()
""",
            "8x16",
        ),
        Example(
            "a sigmoid for BCELoss",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(16, 32), nn.Linear(32, 1)

    def forward(self, x):
        return torch.sigmoid(self.out(F.relu(self.hidden(x))))

model = Net()
criterion = nn.BCELoss()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each loss in forward, one for what it returns."""
        from netcheck.load.ways import is_entered

        for loss in (node for node in graph if node.kind is Kind.LOSS):
            given = given_to(loss)
            if given is not None and (text := mismatch(name_of(loss), given)):
                yield self.of(f"{name_of(loss)} is given {text}", name_of(loss), [given, loss])
        if is_entered(graph.model) or graph.is_part:
            return
        returned = [
            node
            for node in returned_sigmoids(graph)
            if used_around(node, _TAKES_LOGITS) and not used_around(node, _TAKES_PROBABILITIES)
        ]
        if returned:
            name = "BCEWithLogitsLoss"
            yield self.of(
                f"forward returns the sigmoid of its logits: this file uses {name}, which applies it again", name, returned
            )

    def of(self, message: str, loss: str, at: list[Node]) -> Finding:
        """The finding that a loss is given something else than it takes."""
        if loss in _TAKES_LOGITS:
            help = "return the logits, and apply the sigmoid where probabilities are needed"
            evidence = Evidence(
                _FEWEST, "nats", f"least loss that can be reached: {_FEWEST} nats for class 1, 0.69 for class 0", 0.0
            )
        elif loss in _TAKES_PROBABILITIES:
            help = "use binary_cross_entropy_with_logits, or apply the sigmoid before"
            evidence = Evidence(1, "losses", "it raises as soon as a logit is outside of 0 to 1", limit=0)
        else:
            help = "use F.log_softmax in the place of the softmax, or cross_entropy on the logits"
            evidence = Evidence(-1.0, "nats", "least loss that can be reached: −1 where a likelihood ends at 0", limit=0.0)
        return self.finding(message, help=help, evidence=evidence, at=at, verdict=Verdict.CONFIRMED)


def mismatch(loss: str, given: Node) -> str:
    """What a loss is given that it does not take; "" if it takes that."""
    if loss in _TAKES_LOGITS and is_sigmoid(given):
        return "the output of a sigmoid, which it applies again"
    if loss in _TAKES_PROBABILITIES and given.kind in (Kind.LINEAR, Kind.CONV):
        return f"logits: {given.target} comes right before"
    if loss in _TAKES_LOGARITHMS and given.kind is Kind.SOFTMAX and given.detail != "log":
        return "probabilities in the place of their logarithms"
    return ""


def is_sigmoid(node: Node) -> bool:
    """Whether an operation is the logistic function: 1/2 at 0, between 0 and 1, its slope 1/4 there."""
    behaviour = node.activation
    if node.kind is not Kind.ACTIVATION or behaviour is None or not behaviour.saturates or behaviour.zero_centred:
        return False
    return behaviour.nonnegative and abs(behaviour.steepest - 0.25) < 0.01


def returned_sigmoids(graph: ModelGraph) -> Iterator[Node]:
    """The sigmoids that forward returns and does not use."""
    for node in dict.fromkeys(node for _, node in results(graph, UNCHANGED)):
        if is_sigmoid(node) and all(user.kind is Kind.OUTPUT for user in ends(node, UNCHANGED)):
            yield node
