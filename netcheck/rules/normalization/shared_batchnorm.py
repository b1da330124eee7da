"""NC304: one batch normalization for several signals."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class SharedBatchnorm(StaticRule):
    """One BatchNorm normalizes the outputs of different layers: its running statistics are a mixture that fits none of them.

    ## What it does
    Finds batch normalization layers (or running statistics, given to `F.batch_norm`) that are used more than once in a
    pass, behind different layers: a warning. Where the layers around are shared with the norm, it is a note if the calls
    follow each other (a recurrent block) or see maps of different sizes (a feature pyramid).

    ## Why is this bad?
    In training each call normalizes with its own batch's statistics; in eval mode all use one running average over all
    calls. The two functions differ, and a model that trains well evaluates badly. Scale and bias are shared too, which is
    seldom meant.

    ## When it is fine
    Two inputs that pass one and the same network (Siamese nets, contrastive learning): their statistics agree. Norms that
    keep no running statistics (LayerNorm, GroupNorm, `track_running_stats=False`) may be shared freely.

    ## Evidence
    The number of calls of one norm behind different layers, read off the graph.

    ## References
    - Ioffe & Szegedy 2015, Batch Normalization, section 3.1: inference with population statistics.
    - Cooijmans et al. 2016, Recurrent Batch Normalization, section 3: statistics for each time step.
    """

    code = "NC304"
    name = "shared-batchnorm"
    severity = Severity.WARNING
    plain = "Several layers share one BatchNorm, whose statistics then fit none of them in use"
    BAD = (
        Example(
            "one norm for all layers of a block, like the ReLU",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, bias=False)
        self.norm, self.relu, self.head = nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 10)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        x = self.relu(self.norm(self.conv2(x)))
        return self.head(x.mean((2, 3)))

model = Net()
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "a norm for each layer, one ReLU for all",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, bias=False)
        self.norm1, self.norm2, self.relu, self.head = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 10)

    def forward(self, x):
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        return self.head(x.mean((2, 3)))

model = Net()
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the norms of different layers, one for those of a shared block."""
        calls = {key: nodes for key, nodes in calls_of_norms(graph).items() if len({given(node) for node in nodes}) > 1}
        again = calls_that_follow(graph, calls)
        found: dict[Severity, list[Node]] = {Severity.WARNING: [], Severity.INFO: []}
        for nodes in calls.values():
            severity = judged(nodes, recurs=any(node in again for node in nodes))
            if severity is not None:
                found[severity] += nodes
        for severity, nodes in found.items():
            if nodes:
                norms = len({statistics(node) for node in nodes})
                where = "behind different layers" if severity is Severity.WARNING else "of a block that is used again"
                yield self.finding(
                    f"{f'{norms} norms share their' if norms > 1 else 'one norm shares its'} running statistics between "
                    f"{len(nodes)} calls {where}: in eval mode they fit none of them",
                    help="build a BatchNorm for each call, or share a norm without running statistics "
                    "(`nn.GroupNorm`, `nn.LayerNorm`)",
                    evidence=Evidence(
                        len(nodes),
                        "calls",
                        f"{len(nodes)} calls in a pass for {norms} set{'s' if norms > 1 else ''} of running statistics",
                        limit=norms,
                    ),
                    at=nodes,
                    severity=severity,
                    verdict=Verdict.CONFIRMED,
                )


def statistics(node: Node) -> Hashable | None:
    """Which running statistics a batch normalization updates in training; None if none."""
    if node.kind is not Kind.NORM or node.detail != "batch" or not node.live or not node.carries:
        return None
    in_training = node.graph.model.training
    if node.module is not None:
        tracks = getattr(node.module, "running_mean", None) is not None
        return id(node.module) if tracks and (node.training or not in_training) else None
    if node.function != "batch_norm" or (in_training and not node.argument(5, "training", False)):
        return None
    buffers = [source.fx.target for source in node.inputs if source.fx.target in node.graph.recording.names]
    return str(min(map(str, buffers))) if buffers else None


def calls_of_norms(graph: ModelGraph) -> dict[Hashable, list[Node]]:
    """The calls that update each set of running statistics, where there are several."""
    calls: dict[Hashable, list[Node]] = {}
    for node in graph:
        if (key := statistics(node)) is not None:
            calls.setdefault(key, []).append(node)
    return {key: nodes for key, nodes in calls.items() if len(nodes) > 1}


def given(node: Node) -> Node:
    """The activation that an operation works on."""
    return next(source for source in node.inputs if source.depends)


def calls_that_follow(graph: ModelGraph, calls: dict[Hashable, list[Node]]) -> set[Node]:
    """The calls of a norm that work on what an earlier call of it has led to."""
    bits = {node: 1 << place for place, nodes in enumerate(calls.values()) for node in nodes}
    passed: dict[Node, int] = {}
    follow = set()
    for node in graph if bits else ():
        before = 0
        for source in node.inputs:
            before |= passed[source]
        if before & bits.get(node, 0):
            follow.add(node)
        passed[node] = before | bits.get(node, 0)
    return follow


def judged(nodes: list[Node], *, recurs: bool) -> Severity | None:
    """How bad it is that these calls share their statistics; None for one network on several inputs."""
    producers = [layers(node, backwards=True) for node in nodes]
    if all(each.keys() == producers[0].keys() for each in producers):
        alike = len({(given(node).shape or ())[1:] for node in nodes}) == 1
        return None if alike and not recurs else Severity.INFO
    consumers = [layers(node, backwards=False) for node in nodes]
    same = all(each.keys() == consumers[0].keys() for each in consumers)
    called = [node for each in consumers for node in each.values()]
    return Severity.INFO if same and len(set(called)) == len(called) and called else Severity.WARNING


def layers(node: Node, *, backwards: bool) -> dict[Hashable, Node]:
    """The nearest weight layers before (or after) a node, by what they share if they are shared."""
    found: dict[Hashable, Node] = {}
    pending, seen = [node], {node}
    while pending:
        current = pending.pop()
        for other in current.inputs if backwards else current.users:
            if other in seen or not other.depends:
                continue
            seen.add(other)
            if is_weight_layer(other) or other.kind is Kind.INPUT:
                found["input" if other.kind is Kind.INPUT else identity(other)] = other
            else:
                pending.append(other)
    return found


def identity(layer: Node) -> Hashable:
    """What two calls of one layer have in common: the module, or the names of the parameters."""
    if layer.module is not None:
        return id(layer.module)
    parameters = [str(s.fx.target) for s in layer.inputs if s.fx.target in layer.graph.recording.names]
    return tuple(parameters) or layer.name
