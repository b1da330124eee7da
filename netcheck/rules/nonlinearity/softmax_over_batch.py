"""NC109: a softmax over the samples of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules import softmax
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.batch_dimension import follow, time_comes_first
from netcheck.rules.neighbours import origin
from netcheck.trace.kinds import Kind
from netcheck.trace.paths import main_output

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
        Example(
            "a negative dim that is the first",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x)).mean((2, 3))
        return F.log_softmax(self.fc(x), dim=-2)

model = Net()
""",
            "4x3x8x8",
        ),
        Example(
            "attention weights in a loop over heads",
            """
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.ModuleList(nn.Linear(16, 1) for _ in range(3))
        self.head = nn.Linear(48, 4)

    def forward(self, x):
        pooled = [(torch.softmax(score(x), 0) * x).sum(1) for score in self.scores]
        return self.head(torch.cat(pooled, dim=1))

model = Heads()
""",
            "8x5x16",
        ),
        Example(
            "attention of each sample with itself, normalized over the batch",
            """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        scores = torch.bmm(self.query(x), self.key(x).transpose(1, 2)) / 4
        return self.head((scores.softmax(dim=0) @ self.value(x)).mean(1))

model = Attention()
""",
            "8x5x16",
        ),
        Example(
            "no dim at all: deprecated, here by luck the classes",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return F.log_softmax(self.fc(x))

model = Net()
""",
            "8x16",
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
        Example(
            "over the instances of a bag",
            """
class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x):
        weights = torch.softmax(self.score(x), dim=0)
        return self.head(weights.T @ x)

model = Bag()
""",
            "9x16",
        ),
        Example(
            "of parameters, which have no batch",
            """
class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3))
        self.layers = nn.ModuleList(nn.Linear(16, 4) for _ in range(3))

    def forward(self, x):
        weights = torch.softmax(self.logits, dim=0)
        return sum(weight * layer(x) for weight, layer in zip(weights, self.layers))

model = Mixture()
""",
            "8x16",
        ),
        Example(
            "of all pairs in a batch",
            """
class Contrastive(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x, y):
        similarity = self.a(x) @ self.b(y).T
        return torch.softmax(similarity, dim=0), torch.softmax(similarity, dim=1)

model = Contrastive()
""",
            "x=8x16 y=8x16",
        ),
        Example(
            "over the channels, which stand first after a transposition",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return torch.softmax(self.fc(x).t(), dim=0).t()

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for those over the batch, one for those that leave the dimension to PyTorch."""
        nodes = [node for node in graph if node.kind is Kind.SOFTMAX and node.live and node.depends]
        mixing = [node for node in nodes if is_over_batch(node, graph)]
        if mixing:
            node = mixing[0]
            samples, unnamed = softmax.size(node) or 0, softmax.is_implicit(node)
            rank = len(node.shape or ())
            yield self.finding(
                f"{softmax.name(node)} over the batch: the samples compete with each other"
                + (f" (without `dim`, {rank} dimensions mean the first)" if unnamed else ""),
                help="name the dimension of the classes, or of the steps, such as `dim=1` or `dim=-1`",
                evidence=Evidence(samples, "samples", f"goes over the {samples} samples of the batch", limit=1),
                at=mixing,
                verdict=Verdict.CONFIRMED,
            )
        unnamed_ones = [node for node in nodes if softmax.is_implicit(node) and node not in mixing]
        if unnamed_ones:
            node = unnamed_ones[0]
            rank, dim = len(node.shape or ()), softmax.dimension(node)
            yield self.finding(
                f"{softmax.name(node)} without `dim`: PyTorch takes dimension {dim} of {rank}, and warns",
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
    if softmax.dimension(node) != 0 or source is None or end is None or len(source.shape or ()) < 2:
        return False
    argument = follow(source)
    if argument is None or not argument.shape or len(argument.shape) < 2:
        return False
    if len(argument.shape) < 4 and time_comes_first(graph):
        return False
    return bool(end.shape) and follow(end) is not None and (end.shape or (0,))[0] == argument.shape[0]
