"""NC502: weights that are all equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.questions.neighbours import weight_layers_after

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node


class ConstantWeights(StaticRule):
    """All weights of a layer have the same value, so its units stay copies of each other, or get no gradient at all.

    ## What it does
    Reads the weights of every layer that trains. One whose weights are all zero, or all the same number, is reported.

    ## Why is this bad?
    Units with equal weights compute the same value and get the same gradient: however long they train, they remain one
    unit. With zeros, moreover, no gradient passes to the layers before.

    ## When it is fine
    In the head (the last weight layer): its units get different gradients from different labels. In the last layer of a
    residual branch or before a gate, started at zero on purpose, so that the block starts as the identity. In
    normalizations, biases, and layers with a single weight. In filters that are not trained.

    ## Evidence
    In the calibration set no net with constant or zero weights trained, at any depth, with any optimizer or rate.

    ## References
    - Goodfellow, Bengio and Courville 2016, Deep Learning, section 8.4: breaking symmetry.
    - Goyal et al. 2017, Accurate, Large Minibatch SGD, section 5.1: zero-initialized residual branches.
    """

    code = "NC502"
    name = "constant-weights"
    severity = Severity.ERROR
    plain = "All weights of a layer start with the same value, so its units stay copies of each other"
    fixable = Fixable("draw the weights at random", safe=False)
    BAD = (
        Example(
            "hidden layers filled with zeros",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
for layer in model:
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.weight)
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "PyTorch's own initialization",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "a head that starts at zero",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
nn.init.zeros_(model[2].weight)
""",
            "8x16",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """Read off the weights, so confirmed in any case; the measured gain says what it costs."""
        text = f"{found.evidence.text}; measured gain {Decades(gradients.gain)}"
        return replace(found, evidence=replace(found.evidence, text=text))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all layers of one constant."""
        from netcheck.trace.weights import trained_matrices

        constants: dict[float, list[Node]] = {}
        for node in graph:
            if is_weight_layer(node) and node.live and node.depends:
                value = constant_of(node)
                if value is not None and not is_excused(node, value):
                    constants.setdefault(value, []).append(node)
        for value, nodes in constants.items():
            size = sum(matrix.numel() for node in nodes for matrix in trained_matrices(node))
            layers = f"{len(nodes)} layers" if len(nodes) > 1 else "a layer"
            yield self.finding(
                f"all weights of {layers} are {value:g}: "
                + ("no gradient passes" if value == 0 else "the units are copies of each other and remain so"),
                help="draw them at random: `nn.init.kaiming_normal_(layer.weight)`",
                evidence=Evidence(1, "distinct values", f"1 distinct value ({value:g}) in {size:,} weights", limit=2),
                at=nodes,
                verdict=Verdict.CONFIRMED,
            )


def constant_of(node: Node) -> float | None:
    """The one value of all matrices of a layer, or None if they have several (or too few units to be symmetric)."""
    from netcheck.trace.weights import is_constant, trained_matrices, weight_of

    weight = weight_of(node)
    value: float | None = None
    for matrix in trained_matrices(node):
        if min(matrix.shape) < 2 and matrix.shape[0] < 2:
            return None
        if not (weight.is_constant if weight is not None else is_constant(matrix)):
            return None
        first = float(matrix[0, 0])
        if value is not None and value != first:
            return None
        value = first
    return value


def is_excused(node: Node, value: float) -> bool:
    """Whether a constant is harmless here: in the head; zero at the end of a branch that is added, or that scales."""
    pending, seen, joins = list(node.users), set(), True
    weight_after = False
    while pending:
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if is_weight_layer(user):
            if not only_gates(user):
                weight_after, joins = True, False
        elif user.kind in (Kind.ADD, Kind.GATE, Kind.MATMUL):  # of two computed values, each learns by the other
            weight_after = weight_after or bool(weight_layers_after(user, most=0))
        else:
            pending += user.users
    return not weight_after or (joins and value == 0)


def only_gates(node: Node) -> bool:
    """Whether all that comes of a layer scales something else, as squeeze-and-excitation does with what it looks at."""
    pending, seen = [node], {node}
    while pending:
        for user in pending.pop().users:
            if user.kind in (Kind.OUTPUT, Kind.ADD, Kind.CAT):
                return False
            if user.kind is not Kind.GATE and user not in seen:
                seen.add(user)
                pending.append(user)
    return len(seen) > 1 or any(user.kind is Kind.GATE for user in node.users)
