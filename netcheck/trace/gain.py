"""The static estimate of the end-to-end gain: what a backward pass does to a gradient's norm, from the weights alone.

    gain = log10(|J^T v| / |v|), J from the first float activation to the input of the head, v Gaussian

Mean-field theory (Poole et al. 2016; Schoenholz et al. 2017; Yang et al. 2019 for batch normalization): one sweep forward
carries the moments of every activation, one sweep backward the mean square of the gradient (one step of
each: `netcheck.trace.moments`). What a gradient meets on one way multiplies; what comes back by several ways (a skip and
its branch) adds in square.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from torch import nn

from netcheck.figures.decades import held
from netcheck.trace import paths
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.moments import (
    STEPS,
    TINY,
    Moments,
    activated,
    affine,
    first_moments,
    normalized,
    passed_on,
    softmax_size,
    window_of,
)
from netcheck.trace.regions import constant_value
from netcheck.trace.values import TooCostly
from netcheck.trace.weights import Weight, has_values, mean_square, sample, statistics, weight_of

UNKNOWN = 1.0  # squared norm that an operation hands on to an operand which its step says nothing of
_POSITIONS = 64  # the most that a net of the calibration averages over before its head
_TO_GATE = frozenset((Kind.RESHAPE, Kind.RESIZE, Kind.SHIFT, Kind.SCALE, Kind.INDEX))
_PASSING = frozenset((
    Kind.RESHAPE, Kind.INDEX, Kind.PART, Kind.DROPOUT, Kind.IDENTITY, Kind.CAST, Kind.NORM, Kind.SCALE, Kind.SHIFT,
))  # fmt: skip

if TYPE_CHECKING:
    from netcheck.trace.behaviour import Activation
    from netcheck.trace.node import Node, Nodes


@dataclass(frozen=True)
class Layer:
    """What the estimate takes from one weight layer: gain squared, and the mean square and the mean of its bias."""

    square: float
    bias_square: float = 0.0
    bias_mean: float = 0.0
    weight: Weight | None = None


@dataclass(frozen=True)
class Change:
    """A change to the model that the estimate can be asked about. Nothing is changed by default.

    Attributes:
        layers: other weights for some layers.
        activation: another activation for some.
        normalized: weight layers whose output is normalized over the batch.
        skipped: weight layers, and what follows them, that a residual connection leads around: the gradient takes that.
    """

    layers: Mapping[Node, Layer] = field(default_factory=dict)
    activation: Mapping[Node, Activation] = field(default_factory=dict)
    normalized: frozenset[Node] = frozenset()
    skipped: frozenset[Node] = frozenset()


@dataclass
class Estimate:
    """The static estimate for one graph.

    Attributes:
        gain: signed decades, end to end; -5 means that the gradient at the input is 1e-5 of that at the head.
        moments: of every node on a way.
        factor: for each (node, source): log10 of what one backward step multiplies the gradient's norm by.
    """

    gain: float
    moments: dict[Node, Moments]
    factor: dict[tuple[Node, Node], float]


class Network:
    """One graph, prepared so that many changes to it can be estimated quickly: weights are read once."""

    def __init__(self, graph: Nodes) -> None:
        self.graph = graph
        self.nodes = paths.ways(graph)
        self.layers = [node for node in self.nodes if is_weight_layer(node)]
        self.head = self.layers[-1] if self.layers else None
        self.following = {node: following_activation(node) for node in self.layers}
        self.stats = {node: layer_of(node, follower) for node, follower in self.following.items()}
        self.scales = scales_of([node for node in self.nodes if node.kind in (Kind.SCALE, Kind.SHIFT, Kind.NORM)])

    @cached_property
    def forgiven(self) -> float:
        """Decades of the gain that are a matter of counting: see `forgiven`."""
        return forgiven(self.head)

    @cached_property
    def as_built(self) -> Estimate:
        """The estimate with nothing changed."""
        return self.estimate()

    def estimate(self, change: Change = Change()) -> Estimate:
        """Sweep forward and back, with `change` in force."""
        moments: dict[Node, Moments] = {}
        factor: dict[tuple[Node, Node], float] = {}
        for node in self.nodes:
            given = {source: moments[source] for source in paths.sources(node)}
            moments[node], squares = self._forward(node, given, change)
            for source in given:
                factor[node, source] = 0.5 * math.log10(max(squares.get(source, UNKNOWN), TINY))
        return Estimate(self._backward(factor), moments, factor)

    def _forward(self, node: Node, given: Mapping[Node, Moments], change: Change) -> tuple[Moments, dict[Node, float]]:
        """The moments of a node's value, and what the backward step through it multiplies the squared norm by."""
        if not given:
            return first_moments(node), {}
        if node in change.skipped:
            return passed_on(node, given)
        if node in self.stats:
            moments, squares = self._weight_layer(node, given, change)
        elif node.kind is Kind.NORM:
            moments, squares = normalized(node, given, *self.scales[node])
        elif node.kind in (Kind.SCALE, Kind.SHIFT):
            moments, squares = affine(node, given, *self.scales[node])
        elif node.kind is Kind.ACTIVATION:
            moments, squares = activated(node, given, change.activation.get(node, node.activation))
        else:
            moments, squares = STEPS.get(node.kind, passed_on)(node, given)
        return moments.bounded(), squares

    def _weight_layer(self, node: Node, given: Mapping[Node, Moments], change: Change) -> tuple[Moments, dict[Node, float]]:
        layer = change.layers.get(node, self.stats[node])
        source = next(iter(given))
        before = given[source]
        moments, square = before.scaled(layer.square, layer.bias_square, layer.bias_mean), layer.square
        if node in change.normalized:
            spread = max(moments.q - moments.s, TINY)
            moments, square = Moments(1.0, 0.0, 0.0), square / (spread + 1e-5)
        return moments, {other: square if other is source else 0.0 for other in given}

    def _backward(self, factor: Mapping[tuple[Node, Node], float]) -> float:
        """The gain from the head's input to the first float activations."""
        if self.head is None:
            return 0.0
        start = next(iter(paths.sources(self.head)), None)
        if start is None:
            return 0.0
        square: dict[Node, float] = {start: 0.0}  # log10 of the gradient's squared norm
        first: list[float] = []
        for node in reversed(self.nodes):
            if node not in square:
                continue
            sources = paths.sources(node)
            if not sources:
                first.append(square[node])
            for source in sources:
                arriving = square[node] + 2 * factor[node, source]
                square[source] = add_logs(square.get(source), arriving)
        return held(0.5 * max(first), self.forgiven) if first else 0.0


def forgiven(head: Node | None) -> float:
    """Decades by which averaging over positions before the head takes more of the gradient's norm than the budget knows.

    The gradient of a mean over n positions is 1 / sqrt(n) of what it was. But a layer whose weights all positions share adds
    up what comes from each, and is as little starved by it as by the mean over a batch. The budget was measured on nets that
    average over at most 64 positions, which it counts; what more positions take, it does not.
    """
    node = next(iter(paths.sources(head)), None) if head is not None else None
    positions = 1.0
    while node is not None:
        window, source = averaging(node)
        positions *= window
        node = source
    return max(0.0, 0.5 * math.log10(positions / _POSITIONS))


def averaging(node: Node) -> tuple[float, Node | None]:
    """How many positions a node averages, and what it takes them from; (1, None) if it does more than hand a signal on."""
    source = next(iter(paths.sources(node)), None)
    if source is not None and node.kind in (Kind.POOL, Kind.REDUCE) and node.detail not in ("max", "sum", ""):
        return window_of(node, source), source
    if node.kind is Kind.MATMUL:  # weighted by a softmax (attention pooling)
        softmaxes = {part: softmax_behind(part) for part in paths.sources(node)}
        weights = next(filter(None, softmaxes.values()), None)
        values = next((part for part, softmax in softmaxes.items() if softmax is None), None)
        return (float(softmax_size(weights)), values) if weights is not None else (1.0, None)
    return 1.0, source if node.kind in _PASSING else None


def softmax_behind(node: Node) -> Node | None:
    """The softmax that gave a value, reshaped at most."""
    while node.kind in _PASSING and paths.sources(node):
        node = paths.sources(node)[0]
    return node if node.kind is Kind.SOFTMAX else None


def add_logs(a: float | None, b: float) -> float:
    """log10(10^a + 10^b); None stands for nothing."""
    if a is None:
        return b
    high, low = max(a, b), min(a, b)
    return high + math.log10(1 + 10 ** (low - high))


# ---- weights --------------------------------------------------------------------------------------------------------


def layer_of(node: Node, follower: Node | None) -> Layer:
    """What a layer's weights do, or, where they have no values, what well-chosen ones would before that activation."""
    if node.kind is Kind.RECURRENT:
        return Layer(1.0)  # gates of its own, whatever the weights: judged by their own rules
    if node.kind is Kind.ATTENTION:
        return attention_layer(node)
    weight = weight_of(node)
    if weight is None or not math.isfinite(weight.gain):  # NaN in the weights is a fault of its own
        return Layer(recommended_square(node))
    mean = weight.bias_mean if follower is not None and is_gate(follower) else 0.0  # elsewhere it is a fault of its own
    return Layer(max(weight.gain**2, TINY), _finite(weight.bias_square, 0.0), _finite(mean, 0.0), weight)


def attention_layer(node: Node) -> Layer:
    """nn.MultiheadAttention: the value and output projections, averaged over the keys (uniform at initialization)."""
    module = node.module
    if not isinstance(module, nn.MultiheadAttention):
        return Layer(1.0)
    stacked = module.in_proj_weight
    value = module.v_proj_weight if stacked is None else stacked.chunk(3)[2]
    out = module.out_proj.weight
    if not (has_values(value) and has_values(out)):
        return Layer(1.0)
    squares = [_finite(mean_square(sample(part)), 1.0) * part.shape[1] for part in (value.detach(), out.detach())]
    tokens = node.shape[-2] if node.shape and len(node.shape) > 1 else 1
    return Layer(max(math.prod(squares) / max(tokens, 1), TINY))


def following_activation(node: Node) -> Node | None:
    """The activation that a weight layer's output meets before another weight layer, if any."""
    pending, seen = list(node.users), set()
    while pending:
        user = pending.pop(0)
        if user in seen or not user.carries or is_weight_layer(user):
            continue
        seen.add(user)
        if user.kind is Kind.ACTIVATION:
            return user
        if user.kind is not Kind.ADD:  # beyond a sum it is another signal
            pending += user.users
    return None


def is_gate(node: Node) -> bool:
    """Whether every use of a value is as a factor of another signal."""
    pending, seen = [node], {node}
    while pending:
        users = [user for user in pending.pop().users if user.carries]
        if not users or any(user.kind is not Kind.GATE and user.kind not in _TO_GATE for user in users):
            return False
        following = {user for user in users if user.kind is not Kind.GATE} - seen
        seen |= following
        pending += following
    return True


def recommended_square(node: Node, instead: Mapping[Node, Activation] | None = None) -> float:
    """The square of the gain that the activation after a layer asks for: 2 for a rectifier, 25/9 for tanh, 1 for none.

    `instead` holds other activations for some nodes.
    """
    follower = following_activation(node)
    if follower is None or follower.activation is None:  # a maxout has none: its largest piece keeps the norm
        return 1.0
    return (instead or {}).get(follower, follower.activation).gain ** 2


def scales_of(nodes: Sequence[Node]) -> dict[Node, tuple[float, float, float]]:
    """(mean square of the factor, mean square of the offset, mean of the offset) of each norm, scale or shift."""
    given = {node: affine_parts(node) for node in nodes}
    known = statistics(part for parts in given.values() for part in parts)
    return {node: scale_of(node, *parts, known) for node, parts in given.items()}


def affine_parts(node: Node) -> tuple[object, object]:
    """What a norm, a scale or a shift multiplies by, and what it adds; None for nothing, and for what is not known."""
    if node.module is not None:
        return node.member("weight"), node.member("bias")
    if node.kind is Kind.NORM:
        return None, None
    try:
        operands = [constant_value(source) for source in node.inputs if not source.depends]
    except TooCostly:
        return None, None
    operands += [arg for arg in node.fx.args if type(arg) in (int, float)]
    value = next(iter(operands), None)
    return (None, value) if node.kind is Kind.SHIFT else (value, None)


def scale_of(node: Node, weight: object, bias: object, known: Mapping[int, tuple[float, float]]) -> tuple[float, float, float]:
    """What `scales_of` says of one node, with the statistics of the tensors among its parts."""
    square, offset = known_square(weight, 1.0, known), known_square(bias, 0.0, known)
    mean = known_mean(bias, known) if offset else 0.0
    if node.kind is Kind.SCALE and "div" in node.function and square > 0:
        square = 1 / square
    return square, offset, mean


def known_square(value: object, default: float, known: Mapping[int, tuple[float, float]]) -> float:
    """The mean square of a number or a tensor."""
    number = float(value) ** 2 if isinstance(value, int | float) else known.get(id(value), (default, 0.0))[0]
    return _finite(number, default)


def known_mean(value: object, known: Mapping[int, tuple[float, float]]) -> float:
    """The mean of a number or a tensor."""
    return _finite(float(value) if isinstance(value, int | float) else known.get(id(value), (0.0, 0.0))[1], 0.0)


def _finite(number: float, default: float) -> float:
    """A number that NaN and Inf in the model (a fault of its own) have not reached."""
    return number if math.isfinite(number) else default
