"""NC501: weights whose scale does not fit their activation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.findings import Evidence, Finding, Severity
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.rules.helpers import advice, depth_budget, patterns
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.budget import Diagnosis
    from netcheck.trace.graph import ModelGraph, Node

_FAR = 2.0  # times the recommended gain, or less than one over it: worth a word by itself
_DEFAULT = 3**-0.5  # std * sqrt(fan_in) of every Linear and Conv as PyTorch initializes it


class PoorInit(StaticRule):
    """Weights are so small or so large for their activation that the gradient vanishes or explodes with depth.

    ## What it does
    Reads the actual weights. A random weight matrix multiplies the norm of a gradient that passes it by
    std·√fan_in, an activation by the rms of its slope. The product over the way that a gradient cannot avoid is the
    net's static gain. Where that is outside ±3 decades, and initializing every layer for its activation would bring it
    inside, the initialization is the cause.

    Inside the budget it is information if the recommended initialization would give back a third of it. So is a single layer
    that is off by more than a factor of 2, if nothing normalizes its output and no skip leads around it; PyTorch's default is
    not, by itself.

    ## Why is this bad?
    The loss is multiplicative. PyTorch's default gives every Linear and Conv a gain of 1/√3 = 0.58, whatever its fan_in:
    0.25 decades are lost at every tanh layer, 0.40 at every ReLU layer. Twenty such layers let 1/100,000 of the gradient
    through, and the first layers do not train while the last ones do.

    ## When it is fine
    In shallow nets (up to about seven ReLU layers at the default), before a normalization (which undoes any scale), and in
    the branches of residual nets, which the gradient may pass by.

    ## Evidence
    Over 560 small networks, a static gain beyond 3 decades had precision 1.00 and recall 0.65 for "does not train with SGD
    at any of three rates". No torchvision model at its own initialization is beyond it.

    ## References
    - He et al. 2015, Delving Deep into Rectifiers, section 2.2: gain √2 for ReLU.
    - Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks.
    - Schoenholz et al. 2017, Deep Information Propagation: depth scales of untrained nets.
    """

    code = "NC501"
    name = "poor-init"
    severity = Severity.ERROR
    plain = "{gradient}: the weights start at the wrong size"
    fixable = Fixable("initialize the layers of the class as their activations need it, at the end of `__init__`", safe=False)
    scale_only = True
    THRESHOLDS = (depth_budget.ERROR,)
    BAD = (
        Example(
            "twenty tanh layers at PyTorch's default",
            """
model = nn.Sequential(
    *[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(20)], nn.Linear(64, 10)
)
""",
            "8x64",
        ),
        Example(
            "a plain stack of convolutions and ReLU at PyTorch's default",
            """
layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()]
for _ in range(15):
    layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 64, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "the same depth, initialized for tanh",
            """
def draw(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight, gain=nn.init.calculate_gain("tanh"))

model = nn.Sequential(
    *[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(20)], nn.Linear(64, 10)
)
model.apply(draw)
""",
            "8x64",
        ),
        Example(
            "three layers at PyTorch's default",
            """
model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
""",
            "8x784",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the measured gain."""
        return patterns.verdict(found, gradients, self.severity, self.limit("error"))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """The budget's finding if the initialization is the cause; otherwise single layers far off, as info."""
        diagnosis = graph.diagnosis
        at_fault = (layers_at_fault(diagnosis) or list(diagnosis.layers)) if diagnosis.cause == "init" else []
        if at_fault:
            yield self.overrun(graph, diagnosis, at_fault)
        elif costly := self.costly(graph):
            yield costly
        elif diagnosis.cause is None:
            yield from self.far_off(graph, diagnosis)

    def costly(self, graph: ModelGraph) -> Finding | None:
        """The information that the initialization spends a third of the budget or more, where it is not the cause."""
        from netcheck.trace.budget import Cause, remedies, spent

        diagnosis = graph.diagnosis
        if abs(diagnosis.gain) < patterns.SHARE or (cost := spent(graph, Cause.INIT)) < patterns.SHARE:
            return None
        if not (layers := layers_at_fault(diagnosis)):
            return None
        built, wanted, activation, initializer = summary(layers, diagnosis)
        fitting = f"with {depth_budget.REMEDIES[Cause.INIT]} {Decades(remedies(graph)[Cause.INIT])}"
        main = patterns.code_of_cause(graph)
        return self.finding(
            f"weights start at std·√fan_in = {built:.2g} where {activation} needs {wanted:.2g}"
            + (f"; {fitting}" if main else f": {patterns.costs(cost, diagnosis.budget)}"),
            help=advice.for_weights(graph, f"initialize each layer with `{initializer}` and a zero bias"),
            evidence=Evidence(
                round(cost, 2),
                patterns.SPENT,
                f"static gain {Decades(diagnosis.gain)} decades, budget ±{diagnosis.budget:.0f}; {fitting}",
                limit=patterns.SHARE,
            ),
            at=layers,
            severity=Severity.INFO,
            belongs_to=main,
        )

    def overrun(self, graph: ModelGraph, diagnosis: Diagnosis, at_fault: list[Node]) -> Finding:
        """All layers that lose (or amplify) as one finding."""
        masked = masked_shares(at_fault)
        if masked and abs(without_masks(diagnosis, masked)) <= diagnosis.budget:
            return self.masked(diagnosis, masked)
        built, wanted, activation, initializer = summary(at_fault, diagnosis)
        instead = advice.for_weights(graph, f"initialize each layer with `{initializer}` and a zero bias")
        source = " (PyTorch's default)" if abs(built - _DEFAULT) < 0.02 else ""
        return self.finding(
            f"weights start at std·√fan_in = {built:.2g}{source} where {activation} needs {wanted:.2g}: "
            f"{depth_budget.fate(diagnosis)}",
            help=instead + depth_budget.others(diagnosis),
            evidence=depth_budget.evidence(diagnosis),
            at=at_fault,
            severity=depth_budget.severity(diagnosis),
        )

    def masked(self, diagnosis: Diagnosis, shares: dict[Node, float]) -> Finding:
        """Weights that are well initialized, of which a random mask drops so many that the rest are too large."""
        layers, share = list(shares), median(shares.values())
        built = median(gain_of(node, diagnosis) for node in layers)
        factor = (1 - share) ** -0.5
        return self.finding(
            f"DropConnect drops {share:.0%} of the weights and makes the rest larger: std·√fan_in = {built:.2g} in training "
            f"instead of {built / factor:.2g}; {depth_budget.fate(diagnosis)}",
            help="drop a smaller share of the weights: p = 0.1 raises std·√fan_in by 5%, p = 0.3 by 20%, "
            f"p = {share:.2g} by {factor - 1:.0%}",
            evidence=depth_budget.evidence(diagnosis, "no weight dropped", without_masks(diagnosis, shares)),
            at=layers,
            severity=depth_budget.severity(diagnosis),
        )

    def far_off(self, graph: ModelGraph, diagnosis: Diagnosis) -> Iterator[Finding]:
        """Layers inside a sufficient budget whose own gain is off by more than a factor of two."""
        layers = [
            node
            for node in unavoidable_layers(graph, diagnosis)
            if not has_one_value(node)  # that is a fault of its own
            and diagnosis.network.following[node] is not None
            and is_far_off(node, diagnosis)
            and not is_default(node, diagnosis)
        ]
        if not layers:
            return
        built, wanted, activation, initializer = summary(layers, diagnosis)
        yield self.finding(
            f"weights start at std·√fan_in = {built:.2g} where {activation} needs {wanted:.2g}",
            help=f"initialize with `{initializer}`",
            evidence=Evidence(
                round(built / wanted, 3),
                "times the recommended gain",
                f"{built / wanted:.2g} times the recommended gain, usual range 0.5 to 2",
                limit=_FAR,
            ),
            at=layers,
            severity=Severity.INFO,
        )


def gain_of(node: Node, diagnosis: Diagnosis) -> float:
    """A layer's std * sqrt(fan_in) as built."""
    return float(diagnosis.network.stats[node].square ** 0.5)


def has_one_value(node: Node) -> bool:
    """Whether all weights of a layer are equal."""
    from netcheck.trace.weights import weight_of

    weight = weight_of(node)
    return weight is not None and weight.is_constant


def masked_shares(layers: list[Node]) -> dict[Node, float]:
    """The layers whose weights a random mask thins out, with the share of them that it sets to zero."""
    from netcheck.trace.weights import sample, weight_of

    shares: dict[Node, float] = {}
    for node in layers:
        pending, seen = [source for source in node.inputs if not source.depends], set()
        while pending:
            source = pending.pop()
            if source.kind is Kind.DROPOUT and (weight := weight_of(node)) is not None:
                shares[node] = float((sample(weight.matrix) == 0).double().mean())
                break
            seen.add(source)
            pending += [before for before in source.inputs if before not in seen]
    return {node: share for node, share in shares.items() if 0 < share < 1}


def without_masks(diagnosis: Diagnosis, shares: dict[Node, float]) -> float:
    """The static gain with no weight dropped: kept ones are scaled by 1 / (1 - p), so their mean square by as much."""
    from netcheck.trace.gain import Change

    stats = diagnosis.network.stats
    whole = {node: replace(stats[node], square=stats[node].square * (1 - share)) for node, share in shares.items()}
    return diagnosis.network.estimate(Change(layers=whole)).gain


def is_default(node: Node, diagnosis: Diagnosis) -> bool:
    """Whether a layer's weights may be PyTorch's own draw: a small layer's gain scatters around it."""
    weight = diagnosis.network.stats[node].weight
    scatter = 1.0 / max(1, weight.matrix.numel()) ** 0.5 if weight is not None else 0.0
    return abs(gain_of(node, diagnosis) - _DEFAULT) <= 0.02 + scatter


def ratio(node: Node, diagnosis: Diagnosis) -> float:
    """How many times the recommended gain a layer has."""
    from netcheck.trace.budget import recommended_gain

    return gain_of(node, diagnosis) / recommended_gain(node)


def is_far_off(node: Node, diagnosis: Diagnosis) -> bool:
    """Whether a layer's gain is outside [1/2, 2] times the recommended one."""
    return not 1 / _FAR <= ratio(node, diagnosis) <= _FAR


def layers_at_fault(diagnosis: Diagnosis) -> list[Node]:
    """The layers that are off in the direction in which the gradient goes."""
    from netcheck.trace.budget import followed_by_norm

    return [
        node
        for node in diagnosis.layers
        if not followed_by_norm(node) and (ratio(node, diagnosis) < 0.95 if diagnosis.gain < 0 else ratio(node, diagnosis) > 1.05)
    ]


def unavoidable_layers(graph: ModelGraph, diagnosis: Diagnosis) -> list[Node]:
    """The layers with weights of their own that every way passes and no normalization follows."""
    from netcheck.trace import paths
    from netcheck.trace.budget import followed_by_norm

    inside = set(diagnosis.layers)
    return [
        node
        for node in paths.unavoidable(graph, lambda node: node in inside)
        if diagnosis.network.stats[node].weight is not None and not followed_by_norm(node)
    ]


def summary(layers: list[Node], diagnosis: Diagnosis) -> tuple[float, float, str, str]:
    """(median gain, median recommended gain, the activation, the initializer) of some layers."""
    from netcheck.trace.budget import recommended_gain

    followers = [diagnosis.network.following[node] for node in layers]
    activations = [node for node in followers if node is not None]
    wanted = median(recommended_gain(node) for node in layers)
    saturates = any(node.activation is not None and node.activation.saturates for node in activations)
    return (
        median(gain_of(node, diagnosis) for node in layers),
        wanted,
        depth_budget.name_of(activations) if activations else "a linear layer",
        depth_budget.initializer(wanted, saturates),
    )
