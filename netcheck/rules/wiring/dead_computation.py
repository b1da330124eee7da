"""NC904: layers whose result nothing uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import FUNCTIONS, WEIGHT_LAYERS, Kind

if TYPE_CHECKING:
    from torch import nn

    from netcheck.trace.graph import ModelGraph, Node


class DeadComputation(StaticRule):
    """Forward runs a layer with weights, and its result reaches no output.

    ## What it does
    Finds the weight layers that ran and that neither the output, nor a value that forward looks at, nor
    anything that forward leaves behind in the model (an attribute, a buffer) depends on. Layers that follow
    each other are one finding.

    ## Why is this bad?
    The layer costs time and memory and learns nothing. Mostly it was meant to count: a shortcut that is
    computed and not added, a result that the next line overwrites, a method such as `x.add(y)` whose result
    is dropped.

    ## When it is fine
    Where a hook takes the result. If the same weights also run where it counts, it is wasted work only:
    information.

    ## Evidence
    The layers and the parameters that no output depends on.

    ## References
    - Aho, Lam, Sethi and Ullman 2006, Compilers, section 8.5: dead code.
    """

    code = "NC904"
    name = "dead-computation"
    severity = Severity.WARNING
    BAD = (
        Example(
            "a shortcut that is computed and not added",
            """
class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1), nn.BatchNorm2d(n_out))

    def forward(self, x):
        identity = self.shortcut(x)
        return F.relu(self.norm(self.conv(x)))

model = nn.Sequential(Block(3, 8), Block(8, 16), nn.Flatten(), nn.Linear(1024, 4))
""",
            "4x3x8x8",
        ),
        Example(
            "the next line overwrites it",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        h = F.relu(self.fc2(x))
        return self.fc3(h)

model = Net()
""",
            "8x16",
        ),
        Example(
            "a method that returns what it does, and changes nothing",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.extra, self.head = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = self.body(x)
        h.add(self.extra(x))
        return self.head(h.relu())

model = Net()
""",
            "8x16",
        ),
        Example(
            "functional, with bare parameters",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Parameter(torch.randn(16, 16) / 4), nn.Parameter(torch.randn(4, 16) / 4)

    def forward(self, x):
        gate = torch.sigmoid(F.linear(x, self.one))
        return F.linear(x, self.two)

model = Net()
""",
            "8x16",
        ),
        Example(
            "the state of a recurrent layer instead of what follows it",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.project, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        y, h = self.rnn(x)
        y = self.project(y)
        return self.head(h[-1])

model = Net()
""",
            "8x6x16",
        ),
        Example(
            "position embeddings that are looked up and not added",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(50, 16), nn.Embedding(12, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, ids):
        x = self.embedding(ids)
        places = self.positions(torch.arange(ids.shape[1]))
        return self.head(x.mean(1))

model = Net()
""",
            "long:4x6",
        ),
    )
    GOOD = (
        Example(
            "all results count",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.shortcut = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)

    def forward(self, x):
        return F.relu(self.conv(x)) + self.shortcut(x)

model = nn.Sequential(Block(), nn.Flatten(), nn.Linear(512, 4))
""",
            "4x3x8x8",
        ),
        Example(
            "one of two results of a layer",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])

model = Net()
""",
            "8x6x16",
        ),
        Example(
            "kept for a loss outside",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.auxiliary, self.head = nn.Linear(16, 16), nn.Linear(16, 4), nn.Linear(16, 4)
        self.losses = []

    def forward(self, x):
        h = F.relu(self.body(x))
        self.losses.append(self.auxiliary(h).square().mean())
        return self.head(h)

model = Net()
""",
            "8x16",
        ),
        Example(
            "returned inside of an object",
            """
from dataclasses import dataclass

@dataclass
class Output:
    logits: torch.Tensor
    auxiliary: torch.Tensor

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.auxiliary, self.head = nn.Linear(16, 16), nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, x):
        h = F.relu(self.body(x))
        return Output(self.head(h), self.auxiliary(h))

model = Net()
""",
            "8x16",
        ),
        Example(
            "written into a tensor in place",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.extra, self.head = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = self.body(x)
        h.add_(self.extra(x))
        return self.head(h.relu())

model = Net()
""",
            "8x16",
        ),
        Example(
            "taken by a hook",
            """
features = {}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.probe, self.head = nn.Linear(16, 16), nn.Linear(16, 2), nn.Linear(16, 4)
        self.probe.register_forward_hook(lambda module, args, result: features.update(probe=result))

    def forward(self, x):
        h = F.relu(self.body(x))
        self.probe(h)
        return self.head(h)

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each chain of layers whose result is dropped."""
        if graph.lost:
            return  # a tensor came from where the recorder did not see: perhaps from one of these layers
        if not graph.returned and not graph.kept:
            return  # then nothing reaches the output: NC907 says so, once
        groups: dict[tuple[str, ...], list[Node]] = {}
        for chain in dead_chains(graph):
            places = tuple(str(node.called_at) for node in chain)
            groups.setdefault(places, []).extend(chain)  # the same lines in every block: one fault
        alive = {id(p) for node in graph.used for p in parameters_of(node)} if groups else set()
        for chain in groups.values():
            parameters = {id(p): p.numel() for node in chain for p in parameters_of(node)}
            idle = sum(size for key, size in parameters.items() if key not in alive)
            names = ", ".join(f"`{node.path or node.target}`" for node in chain[:3]) + (", ..." if chain[3:] else "")
            yield self.finding(
                f"the result of {names} reaches no output",
                help="use it (assign what a method returns, add the shortcut), or do not compute it",
                evidence=Evidence(
                    len(chain), "layers",
                    f"{len(chain)} layer{'s' * (len(chain) > 1)} with {idle:,} parameters that nothing else uses",
                    limit=0,
                ),
                at=chain,
                severity=Severity.WARNING if idle else Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )  # fmt: skip


def dead_chains(graph: ModelGraph) -> Iterator[list[Node]]:
    """The unused weight layers, those together whose results meet before they are dropped."""
    root: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while root[node] is not node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for node in graph:
        if node not in graph.used and node.op.startswith("call"):
            root[node] = node
            for source in node.inputs:
                if source in root:
                    root[find(source)] = find(node)
    chains: dict[Node, list[Node]] = {}
    for node in root:
        chains.setdefault(find(node), []).append(node)
    for chain in chains.values():
        layers = [node for node in chain if is_layer(node)]
        if layers and not any(is_observed(node) for node in chain):
            yield layers


def is_layer(node: Node) -> bool:
    """Whether an operation combines its input with weights: more than taking a view of a parameter."""
    sort = FUNCTIONS.get(node.function, (None, ""))[0]
    combining = WEIGHT_LAYERS | {Kind.EMBEDDING, Kind.MATMUL, Kind.NORM}
    return (node.module is not None or sort in combining) and bool(parameters_of(node))


def parameters_of(node: Node) -> list[nn.Parameter]:
    """The parameters that an operation multiplies with: of its module, or given to it."""
    from torch import nn

    if node.module is not None:
        return list(node.module.parameters())
    held = node.graph.recording.attributes
    given = (held.get(str(source.fx.target)) for source in node.inputs if source.op == "get_attr")
    return [value for value in given if isinstance(value, nn.Parameter)]


def is_observed(node: Node) -> bool:
    """Whether a hook sees the node's result."""
    owner = node.call.owner if node.call is not None else None
    return any(bool(module._forward_hooks) for module in (node.module, owner) if module is not None)
