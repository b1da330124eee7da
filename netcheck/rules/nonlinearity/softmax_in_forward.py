"""NC107: softmax in forward."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.rules.helpers.authors_file import used_around
from netcheck.source.vocabulary import LOGARITHM
from netcheck.trace.kinds import Kind
from netcheck.trace.questions import losses, softmax_dimension
from netcheck.trace.questions.neighbours import UNCHANGED, before, ends, origin, results

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_CROSS_ENTROPY = frozenset(("CrossEntropyLoss", "cross_entropy"))
_TAKES_LOGARITHMS = frozenset(("NLLLoss", "nll_loss", "CTCLoss", "ctc_loss", "KLDivLoss", "kl_div"))
_TAKES_PROBABILITIES = frozenset(("Categorical", "OneHotCategorical", "multinomial", "BCELoss", LOGARITHM))


class SoftmaxInForward(StaticRule):
    """The model returns softmax or log-softmax outputs, which the usual loss applies again; or applies it
    twice itself.

    ## What it does
    Looks for a result of forward that is a softmax or log-softmax of logits nothing else
    uses (`log(softmax(z))` counts as one), and for a softmax directly on a softmax. A file with `NLLLoss` (or another loss of
    log-probabilities) wants a log-softmax.

    ## Why is this bad?
    `CrossEntropyLoss` takes logits and applies log-softmax itself. On probabilities,
    which lie between 0 and 1, it sees nearly equal logits: with 10 classes the loss cannot fall below 1.46,
    and the gradient shrinks. On a log-softmax it only computes everything twice.

    ## When it is fine
    With `NLLLoss` after a log-softmax: where the file does not tell which loss is used, a log-softmax is info. Where
    probabilities are the product (a policy to sample from, a distribution whose logarithm the file takes, a model that says
    in its documentation or by the name of its result that it returns them) or the weights of a mixture density, whose
    widths are returned beside them: then it is info. Next to the logits. In attention, where the weights are used.

    ## Evidence
    The least cross-entropy of K classes on probabilities is log(1 + (K - 1) / e): 0.55 for 3,
    1.46 for 10, 5.91 for 1000.

    ## References
    - PyTorch documentation of CrossEntropyLoss: "The input is expected to contain the unnormalized logits".
    """

    code = "NC107"
    name = "softmax-in-forward"
    severity = Severity.WARNING
    explained_by = ("TS703",)
    plain = "Softmax is applied once too often: the usual loss applies it itself, and learns slowly from what is left"
    fixable = Fixable("return the logits, where a CrossEntropyLoss in the file applies the softmax", safe=False)
    BAD = (
        Example(
            "softmax as the last layer",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(dim=1))
""",
            "8x16",
        ),
        Example(
            "log_softmax, then CrossEntropyLoss",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return F.log_softmax(self.fc(x), dim=1)

criterion = nn.CrossEntropyLoss()
model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "logits",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
""",
            "8x16",
        ),
        Example(
            "log_softmax for NLLLoss",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return F.log_softmax(self.fc(x), dim=1)

def train(model, x, y):
    return F.nll_loss(model(x), y)

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for what is applied twice, one for probabilities that are returned, one for their
        logs.
        """
        from netcheck.load.ways import is_entered

        doubled = [node for node in graph if is_doubled(node)]
        if doubled:
            yield self.applied_twice(doubled)
        if before_loss := [node for node in given_to_cross_entropy(graph) if node not in doubled]:
            yield self.returned(before_loss, in_forward=True)
        if is_entered(graph.model) or graph.is_part:
            return  # what a policy's `act` returns is no argument of a loss, nor are the weights of an attention
        found = [node for node in returned_softmaxes(graph) if node not in doubled]
        if found and not graph.model.training:
            found = list(returned_softmaxes(graph.in_mode(training=True)))
        for log in (False, True):
            unwanted = [node for node in found if (node.detail == "log") == log and not is_wanted(node)]
            if unwanted:
                yield self.returned(unwanted)

    def applied_twice(self, doubled: list[Node]) -> Finding:
        """The finding for a softmax on a softmax."""
        node = doubled[0]
        first = before(node, UNCHANGED)
        assert first is not None
        one, two = softmax_dimension.name(first), softmax_dimension.name(node)
        if first.detail == "log":
            text, effect = "change by the second: none", "the second changes nothing"
            value, limit = 1.0, None
        else:
            value = most_probable(softmax_dimension.size(node) or 2)
            limit = 1.0
            text = f"largest probability that can come out: {value:.2f} of {softmax_dimension.size(node)} classes"
            effect = f"no probability can exceed {value:.2f}"
        return self.finding(
            f"{two} directly on {one}: {effect}",
            help="apply it once; for CrossEntropyLoss not at all",
            evidence=Evidence(value, "largest probability", text, limit=limit),
            at=doubled,
            verdict=Verdict.CONFIRMED,
        )

    def returned(self, nodes: list[Node], *, in_forward: bool = False) -> Finding:
        """The finding for what went through a softmax: results, or what a loss in forward is given."""
        node = nodes[0]
        classes = softmax_dimension.size(node) or 2
        what, known = softmax_dimension.name(node), used_around(node, _CROSS_ENTROPY)
        wanted_elsewhere = node.detail == "log" and not known  # NLLLoss, in another file, may want it
        harmless = wanted_elsewhere or says_so(node) or weighs_densities(node)
        if what == "softmax":
            text = f"least cross-entropy of {classes} classes on probabilities: {least_loss(classes):.2f}"
        else:
            text = "cross-entropy of a log_softmax equals that of the logits: it is computed twice"
        used = "this file uses CrossEntropyLoss, which" if known else "CrossEntropyLoss"
        loss = "" if what == "softmax" else ", or use NLLLoss"
        if node.function == "log":
            loss = ", or use NLLLoss after `F.log_softmax(logits, dim)`: the logarithm of a softmax that underflows is -inf"
        told = f"forward returns the {what} of its logits: {used} applies log_softmax again"
        if in_forward:
            told, known, harmless = f"cross_entropy is given a {what}, and applies log_softmax again", True, what != "softmax"
        return self.finding(
            told,
            help=f"return the logits, and apply softmax where probabilities are needed{loss}",
            evidence=Evidence(least_loss(classes) if what == "softmax" else 0.0, "nats", text, limit=0.0),
            at=nodes,
            severity=Severity.INFO if harmless else Severity.WARNING,
            verdict=Verdict.CONFIRMED if known else Verdict.SUSPECTED,
        )


def given_to_cross_entropy(graph: ModelGraph) -> Iterator[Node]:
    """Each softmax that a cross-entropy in forward is given."""
    for loss in graph:
        if loss.kind is Kind.LOSS and losses.name_of(loss) in _CROSS_ENTROPY:
            given = losses.given_to(loss)
            if given is not None and given.kind is Kind.SOFTMAX:
                yield given


def returned_softmaxes(graph: ModelGraph) -> Iterator[Node]:
    """Each softmax over classes that forward returns and does not use, of logits that it does not return."""
    seen = set()
    for _, node in results(graph, UNCHANGED):
        if node.kind is not Kind.SOFTMAX or node in seen or node.function == "gumbel_softmax":
            continue
        seen.add(node)
        logits = origin(node)
        only_result = all(user.kind is Kind.OUTPUT for user in ends(node, UNCHANGED))
        if logits is None or not only_result or ends(logits, UNCHANGED) != [node]:
            continue
        if softmax_dimension.dimension(node) and softmax_dimension.size(node) != 1:  # the others have rules of their own
            yield node


def is_doubled(node: Node) -> bool:
    """A softmax directly on a softmax over the same dimension."""
    if node.kind is not Kind.SOFTMAX or not node.live:
        return False
    first = before(node, UNCHANGED)
    return (
        first is not None
        and first.kind is Kind.SOFTMAX
        and (first.shape, softmax_dimension.dimension(first)) == (node.shape, softmax_dimension.dimension(node))
    )


def is_wanted(node: Node) -> bool:
    """Whether the file applies a loss of log-probabilities."""
    return node.detail == "log" and used_around(node, _TAKES_LOGARITHMS)


def says_so(node: Node) -> bool:
    """Whether the model says that it returns probabilities: in its documentation, by a name, by sampling from
    them.
    """
    from netcheck.torch_versions import forward_of

    model = node.graph.model
    text = f"{inspect.getdoc(type(model)) or ''} {inspect.getdoc(forward_of(type(model))) or ''}"
    own = type(model).__module__.partition(".")[0] != "torch"
    if own and re.search(r"probabilit|log[-_ ]?prob", text, re.IGNORECASE):
        return True
    returned = node.graph.nodes[-1].fx.args
    named = isinstance(returned[0], dict) and any("prob" in str(key).lower() for key in returned[0])
    return named or (used_around(node, _TAKES_PROBABILITIES) and not used_around(node, _CROSS_ENTROPY))


def weighs_densities(node: Node) -> bool:
    """Whether forward returns widths beside it, positive by `exp` or softplus: it gives the weights of a mixture density."""
    return any(is_positive(other) for _, other in results(node.graph, UNCHANGED | {Kind.SHIFT}))


def is_positive(node: Node) -> bool:
    """Whether a value is positive by `exp` or softplus, and not a rectifier's."""
    behaviour = node.activation
    if behaviour is None or behaviour.rectifier:
        return node.function == "exp"
    return behaviour.nonnegative and behaviour.rectifies


def least_loss(classes: int) -> float:
    """The cross-entropy of logits 1, 0, 0, ...: the most that probabilities can say."""
    import math

    return math.log(1 + (classes - 1) / math.e)


def most_probable(classes: int) -> float:
    """The softmax of 1, 0, 0, ..."""
    import math

    return math.e / (math.e + classes - 1)
