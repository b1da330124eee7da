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
    plain = "A layer works for nothing: its result goes nowhere"
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
        if layers and not any(is_observed(node) or may_be_dropped(node) for node in chain):
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


def may_be_dropped(node: Node) -> bool:
    """Whether an operation that is not looked into may hand its input on by chance (stochastic depth in a ScriptModule)."""
    return node.kind is Kind.SCRIPT


def is_observed(node: Node) -> bool:
    """Whether a hook sees the node's result."""
    owner = node.call.owner if node.call is not None else None
    return any(bool(module._forward_hooks) for module in (node.module, owner) if module is not None)
