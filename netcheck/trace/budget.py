"""The depth budget: how much gradient a net may lose or gain from its head to its first layer, and what costs it.

    diagnose(graph) -> Diagnosis
      +-- as built                          the static gain, in decades
      +-- init, rectifier, norm, skip       the same estimate with one thing changed
      +-- cause                             the cheapest single change that brings it inside the budget

A tanh stack is risky because of its initialization, not because of tanh: only asking what would help can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from netcheck.load.randomness import preserved_random_state
from netcheck.trace import behaviour
from netcheck.trace.gain import Change, Layer, Network, following_activation, is_gate, recommended_square
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.paths import is_residual, unavoidable
from netcheck.trace.question import question
from netcheck.trace.weights import trained_matrices

if TYPE_CHECKING:
    from netcheck.trace.node import Node, Nodes

# Decades of gain, of either sign. On 560 small networks |gain| > 3 has precision 1.00 for "does not train with SGD"; no
# torchvision model at its own initialization is beyond 3.
WARN = 3.0
# Where skips let several ways add up, the estimate is less sure: on torchvision's and timm's residual nets it was up to 0.9
# decades above the measured gain, so a suspicion starts where that error, too, is outside the budget.
RESIDUAL_SLACK = 1.0
_NOTHING_PASSES = 25.0  # decades: a layer of zeros on the only way counts as 30


class Cause(StrEnum):
    """What to change first, cheapest first."""

    INIT = "init"
    SATURATION = "saturation"
    NO_NORM = "no norm"
    NO_SKIP = "no skip"


@dataclass(frozen=True)
class Diagnosis:
    """What the estimate says of a graph. Layers whose weights are constant are taken as well initialized: see NC502.

    Attributes:
        gain: signed decades as built.
        budget: decades that it may be away from 0.
        remedies: the gain with each change that applies, cheapest first.
        cause: what the first sufficient change repairs (if none suffices, the one that comes closest); None inside the budget.
        layers: the weight layers on the way from the head to the input, in order.
        beyond: what every way passes that the estimate does not model; then it is no more than a hint.
        zeros: norms and scales on every way that multiply by zero to begin with: nothing passes them until a step moves them.
    """

    gain: float
    budget: float
    remedies: Mapping[Cause, float]
    cause: Cause | None
    layers: tuple[Node, ...]
    network: Network
    beyond: tuple[Node, ...] = ()
    zeros: tuple[Node, ...] = ()

    @property
    def remedy(self) -> float:
        """The gain with the change that the cause names."""
        return self.remedies[self.cause] if self.cause is not None else self.gain


@question
def diagnosis(graph: Nodes) -> Diagnosis:
    """The static gain of a graph, and what is to blame where it is outside the depth budget."""
    with preserved_random_state():  # it tries what functions do
        return diagnose(graph)


def diagnose(graph: Nodes) -> Diagnosis:
    """Estimate the gain, and find its cause where it is outside the budget."""
    network = Network(graph)
    constant = constant_layers(network)  # a fault of its own, where it is one
    filled = {node: recommended(node) for node, value in constant.items() if value}
    network.stats.update(filled)
    estimate = network.estimate()
    zeros = unavoidable(graph, lambda node: network.scales.get(node, (1.0, 0.0, 0.0))[0] == 0)
    if abs(estimate.gain) > _NOTHING_PASSES:  # what starts at zero does not stay there
        network.stats.update({node: recommended(node) for node in constant})
        network.scales.update({node: (1.0, *network.scales[node][1:]) for node in zeros})
        estimate = network.estimate()
    layers = tuple(node for node in network.layers if node is not network.head)
    beyond = tuple(unavoidable(graph, is_beyond))
    budget = WARN + (RESIDUAL_SLACK if is_residual(graph) else 0.0)
    if abs(estimate.gain) <= budget:
        return Diagnosis(estimate.gain, budget, {}, None, layers, network, beyond, tuple(zeros))
    remedies = with_each_change(network)
    sufficient = [cause for cause, gain in remedies.items() if abs(gain) <= WARN]
    cause = sufficient[0] if sufficient else min(remedies, key=lambda cause: abs(remedies[cause]), default=None)
    return Diagnosis(estimate.gain, budget, remedies, cause, layers, network, beyond, tuple(zeros))


def is_beyond(node: Node) -> bool:
    """Whether the estimate does not model an operation: what it does to a gradient depends on more than means and variances."""
    if node.kind in (Kind.SOFTMAX, Kind.UNKNOWN, Kind.SCRIPT, Kind.RECURRENT, Kind.RANDOM):
        return True
    divides = node.kind is Kind.GATE and node.function in ("div", "truediv", "true_divide", "divide")
    return divides and len([source for source in node.inputs if source.carries]) > 1


def with_each_change(network: Network) -> dict[Cause, float]:
    """The gain with each single change that applies, cheapest first."""
    return {cause: network.estimate(change).gain for cause, change in changes(network).items()}


@question
def remedies(graph: Nodes) -> Mapping[Cause, float]:
    """The gain with each single change that applies, inside the budget too."""
    diagnosed = diagnosis(graph)
    if diagnosed.cause is not None:
        return diagnosed.remedies
    with preserved_random_state():
        return with_each_change(diagnosed.network)


def spent(graph: Nodes, cause: Cause) -> float:
    """The decades of the budget that a change would give back; 0 where it does not apply or gives none."""
    gain = diagnosis(graph).gain
    return max(0.0, abs(gain) - abs(remedies(graph).get(cause, gain)))


def constant_layers(network: Network) -> dict[Node, float]:
    """The layers that train and whose weights all have one value, with that value."""
    return {
        node: float(layer.weight.matrix[0, 0])
        for node, layer in network.stats.items()
        if layer.weight is not None and layer.weight.is_constant and trained_matrices(node)
    }


def changes(network: Network) -> dict[Cause, Change]:
    """Every single change that applies to a network, cheapest first."""
    layers = [node for node in network.layers if node is not network.head]
    saturating = saturating_activations(network)
    found = {Cause.INIT: Change(layers={node: recommended(node) for node in layers})}
    if saturating:
        relu = behaviour.relu()
        rectified = dict.fromkeys(saturating, relu)
        found[Cause.SATURATION] = Change(layers={node: recommended(node, rectified) for node in layers}, activation=rectified)
    if any(not followed_by_norm(node) for node in layers):
        found[Cause.NO_NORM] = Change(normalized=frozenset(node for node in layers if not followed_by_norm(node)))
    skippable = frozenset(part for node in layers for part in around(node))
    if skippable:
        found[Cause.NO_SKIP] = Change(skipped=skippable)
    return found


def recommended(node: Node, instead: Mapping[Node, behaviour.Activation] | None = None) -> Layer:
    """The initialization that the activation after a layer asks for; no bias."""
    if node.kind in (Kind.RECURRENT, Kind.ATTENTION):
        return Layer(1.0)
    return Layer(recommended_square(node, instead))


def recommended_gain(node: Node) -> float:
    """std * sqrt(fan_in) that a layer's activation asks for."""
    return math.sqrt(recommended(node).square)


def saturating_activations(network: Network) -> list[Node]:
    """The activations on the way that are flat on both sides, and are no gates (whose output only scales another signal)."""
    return [
        node
        for node in network.nodes
        if node.kind is Kind.ACTIVATION and node.activation and node.activation.saturates and not is_gate(node)
    ]


def followed_by_norm(node: Node) -> bool:
    """Whether a weight layer's output is normalized before anything nonlinear or another weight layer sees it."""
    passing = (Kind.RESHAPE, Kind.DROPOUT, Kind.SHIFT, Kind.SCALE, Kind.PART, Kind.INDEX, Kind.IDENTITY)
    user = next((user for user in node.users if user.carries), None)
    while user is not None and user.kind in passing:
        user = next((other for other in user.users if other.carries), None)
    return user is not None and user.kind is Kind.NORM


def around(node: Node) -> list[Node]:
    """A weight layer and what follows it up to its activation, if a skip could lead around them: equal shapes, and no gate."""
    source = next((source for source in node.inputs if source.carries), None)
    end = following_activation(node) or node
    if source is None or source.shape != end.shape or (end.activation and end.activation.saturates and is_gate(end)):
        return []
    between = [node]
    while between[-1] is not end:
        step = next((user for user in between[-1].users if user.carries and not is_weight_layer(user)), None)
        if step is None:
            return []
        between.append(step)
    return between
