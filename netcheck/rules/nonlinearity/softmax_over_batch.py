"""NC109: a softmax over the samples of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.paths import main_output
from netcheck.trace.questions import softmax_dimension
from netcheck.trace.questions.batch_dimension import follow, time_comes_first
from netcheck.trace.questions.neighbours import origin

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class SoftmaxOverBatch(StaticRule):
    """A softmax goes over the batch: the samples compete with each other, and each output depends on its
    neighbours.

    ## What it does
    Follows the dimension that a softmax goes over back to the arguments of forward. If it is
    their first one, and the model gives one result for each of its entries, it is the batch. A softmax
    without `dim` is reported too: for one and three dimensions PyTorch takes the first, for others the
    second.

    ## Why is this bad?
    The probabilities of one sample do not sum to 1; they change with the rest of the
    batch, and at a batch of one they are all 1. It trains to some degree, which hides it.

    ## When it is fine
    In models that put time or a bag of instances first (recurrent and attention modules
    without `batch_first`, pooling over instances), in contrastive losses between all pairs of a batch.

    ## Evidence
    The number of samples that the softmax goes over.

    ## References
    - PyTorch documentation of torch.nn.functional.softmax: `dim`, and its deprecated implicit choice.
    """

    code = "NC109"
    name = "softmax-over-batch"
    severity = Severity.WARNING
    plain = "A softmax goes over the samples of the batch: what one sample gets depends on the others beside it"
    fixable = Fixable("name the dimension: the one that PyTorch takes anyway, or the classes instead of the batch", safe=True)
    BAD = (
        Example(
            "dim 0 of (samples, classes)",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4), nn.Softmax(dim=0))
""",
            "8x16",
        ),
        Example(
            "no dim, on three dimensions",
            """
class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)
        self.softmax = nn.Softmax()

    def forward(self, x):
        weights = self.softmax(self.score(x))
        return self.head((weights * x).sum(1))

model = Pool()
""",
            "8x5x16",
        ),
    )
    GOOD = (
        Example(
            "over the classes",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4), nn.Softmax(dim=1))
""",
            "8x16",
        ),
        Example(
            "over the steps of a model that puts time first",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent, self.score, self.head = nn.GRU(16, 32), nn.Linear(32, 1), nn.Linear(32, 4)

    def forward(self, x):
        states, _ = self.recurrent(x)
        weights = torch.softmax(self.score(states), dim=0)
        return self.head((weights * states).sum(0))

model = Net()
""",
            "8x5x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for those over the batch, one for those that leave the dimension to PyTorch."""
        nodes = [node for node in graph if node.kind is Kind.SOFTMAX and node.live and node.depends]
        mixing = [node for node in nodes if is_over_batch(node, graph)]
        if mixing:
            node = mixing[0]
            samples, unnamed = softmax_dimension.size(node) or 0, softmax_dimension.is_implicit(node)
            rank = len(node.shape or ())
            yield self.finding(
                f"{softmax_dimension.name(node)} over the batch: the samples compete with each other"
                + (f" (without `dim`, {rank} dimensions mean the first)" if unnamed else ""),
                help="name the dimension of the classes, or of the steps, such as `dim=1` or `dim=-1`",
                evidence=Evidence(samples, "samples", f"goes over the {samples} samples of the batch", limit=1),
                at=mixing,
                verdict=Verdict.CONFIRMED,
            )
        unnamed_ones = [node for node in nodes if softmax_dimension.is_implicit(node) and node not in mixing]
        if unnamed_ones:
            node = unnamed_ones[0]
            rank, dim = len(node.shape or ()), softmax_dimension.dimension(node)
            yield self.finding(
                f"{softmax_dimension.name(node)} without `dim`: PyTorch takes dimension {dim} of {rank}, and warns",
                help=f"write `dim={dim}` if that is meant",
                evidence=Evidence(rank, "dimensions", f"dimension {dim} is chosen for {rank} dimensions"),
                at=unnamed_ones,
                severity=Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )


def is_over_batch(node: Node, graph: ModelGraph) -> bool:
    """Whether a softmax goes over the first dimension of an argument, for each entry of which there is a
    result.
    """
    source, end = origin(node), main_output(graph)
    if softmax_dimension.dimension(node) != 0 or source is None or end is None or len(source.shape or ()) < 2:
        return False
    argument = follow(source)
    if argument is None or not argument.shape or len(argument.shape) < 2:
        return False
    if len(argument.shape) < 4 and time_comes_first(graph):
        return False
    return bool(end.shape) and follow(end) is not None and (end.shape or (0,))[0] == argument.shape[0]
