"""The static estimate of the end-to-end gain: what a backward pass does to a gradient's norm, from the weights alone.

    gain = log10(|J^T v| / |v|), J from the first float activation to the input of the head, v Gaussian

Mean-field theory (Poole et al. 2016; Schoenholz et al. 2017; Yang et al. 2019 for batch normalization): one sweep forward
carries the moments of every activation, one sweep backward the mean square of the gradient. What a gradient meets on one
way multiplies; what comes back by several ways (a skip and its branch) adds in square.

    q     E[h^2]           mean square of a unit
    s     E[h_a h_b]       the part of it that two samples a, b share: what batch normalization takes away
    m     E[h]             mean over the units: what layer normalization takes away
    p, r  E[r^2], E[r]     of a rectified part r >= 0 in a sum h = r + b: the stream of a residual net
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from netcheck.trace import paths
from netcheck.trace.composites import constant_value
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.values import TooCostly
from netcheck.trace.weights import Weight, has_values, mean_square, sample, weight_of

if TYPE_CHECKING:
    from netcheck.trace.behaviour import Activation
    from netcheck.trace.graph import ModelGraph, Node

_TINY = 1e-60


@dataclass(frozen=True, slots=True)
class Moments:
    """The statistics of one activation: see the module's legend."""

    q: float = 1.0
    s: float = 0.0
    m: float = 0.0
    p: float = 0.0
    r: float = 0.0

    def scaled(self, square: float, shift_square: float = 0.0) -> Moments:
        """After multiplication with independent zero-mean weights of that gain squared, plus a bias."""
        return Moments(square * self.q + shift_square, square * self.s + shift_square, 0.0)


@dataclass(frozen=True)
class Layer:
    """What the estimate takes from one weight layer: gain squared, and the mean square of its bias."""

    square: float
    bias_square: float = 0.0
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

    def __init__(self, graph: ModelGraph) -> None:
        self.graph = graph
        self.nodes = paths.ways(graph)
        self.layers = [node for node in self.nodes if is_weight_layer(node)]
        self.head = self.layers[-1] if self.layers else None
        self.stats = {node: layer_of(node) for node in self.layers}
        self.following = {node: following_activation(node) for node in self.layers}
        self.scales = {node: scale_of(node) for node in self.nodes if node.kind in (Kind.SCALE, Kind.SHIFT, Kind.NORM)}

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
            for source, square in squares.items():
                factor[node, source] = 0.5 * math.log10(max(square, _TINY))
        return Estimate(self._backward(factor), moments, factor)

    def _forward(
        self, node: Node, given: Mapping[Node, Moments], change: Change
    ) -> tuple[Moments, dict[Node, float]]:
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
        return moments, squares

    def _weight_layer(
        self, node: Node, given: Mapping[Node, Moments], change: Change
    ) -> tuple[Moments, dict[Node, float]]:
        layer = change.layers.get(node, self.stats[node])
        source = next(iter(given))
        before = given[source]
        moments, square = before.scaled(layer.square, layer.bias_square), layer.square
        if node in change.normalized:
            spread = max(moments.q - moments.s, _TINY)
            moments, square = Moments(1.0, 0.0, 0.0), square / (spread + 1e-5)
        return moments, {other: square if other is source else 0.0 for other in given}

    def _backward(self, factor: Mapping[tuple[Node, Node], float]) -> float:
        """The gain from the head's input to the first float activations."""
        if self.head is None:
            return 0.0
        start = next((source for source in paths.sources(self.head)), None)
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
        return 0.5 * max(first) if first else 0.0


def add_logs(a: float | None, b: float) -> float:
    """log10(10^a + 10^b); None stands for nothing."""
    if a is None:
        return b
    high, low = max(a, b), min(a, b)
    return high + math.log10(1 + 10 ** (low - high))


# ---- weights --------------------------------------------------------------------------------------------------------


def layer_of(node: Node) -> Layer:
    """What a layer's weights do, or, where they have no values, what well-chosen ones would."""
    if node.kind is Kind.RECURRENT:
        return Layer(1.0)  # gates of its own, whatever the weights: judged by their own rules
    if node.kind is Kind.ATTENTION:
        return attention_layer(node)
    weight = weight_of(node)
    if weight is None or not math.isfinite(weight.gain):  # NaN in the weights is a fault of its own
        return Layer(recommended_square(node))
    return Layer(max(weight.gain**2, _TINY), _finite(weight.bias_square, 0.0), weight)


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
    square = _mean_square(sample(value), 1.0) * value.shape[1] * _mean_square(sample(out), 1.0) * out.shape[1]
    tokens = node.shape[-2] if node.shape and len(node.shape) > 1 else 1
    return Layer(max(square / max(tokens, 1), _TINY))


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


def recommended_square(node: Node, activation: Activation | None = None) -> float:
    """The square of the gain that the following activation asks for: 2 for a rectifier, 25/9 for tanh, 1 for none."""
    follower = following_activation(node)
    if activation is None:
        if follower is None or follower.activation is None or follower.detail in ("maxout", "crelu"):
            return 1.0
        activation = follower.activation
    return activation.gain**2


def scale_of(node: Node) -> tuple[float, float, float]:
    """(mean square of the factor, mean square of the offset, mean of the offset) of a norm, a scale or a shift."""
    try:
        if node.module is not None:
            weight, bias = getattr(node.module, "weight", None), getattr(node.module, "bias", None)
        else:
            operands = [_operand(source) for source in node.inputs if not source.depends]
            operands += [arg for arg in node.fx.args if type(arg) in (int, float)]
            value = next(iter(operands), None)
            weight, bias = (None, value) if node.kind is Kind.SHIFT else (value, None)
            if node.kind is Kind.NORM:
                weight, bias = None, None
    except TooCostly:
        weight, bias = None, None
    square, mean_square, mean = _mean_square(weight, 1.0), _mean_square(bias, 0.0), _mean(bias)
    if node.kind is Kind.SCALE and "div" in node.function and square > 0:
        square = 1 / square
    return square, mean_square, mean


def _operand(node: Node) -> object:
    return constant_value(node)


def _mean_square(value: object, default: float) -> float:
    if isinstance(value, int | float):
        return _finite(float(value) ** 2, default)
    if has_values(value):
        return _finite(mean_square(value.detach()), default)  # type: ignore[attr-defined]
    return default


def _mean(value: object) -> float:
    if isinstance(value, int | float):
        return _finite(float(value), 0.0)
    return _finite(float(value.detach().mean(dtype=torch.float64)), 0.0) if has_values(value) else 0.0  # type: ignore[attr-defined]


def _finite(number: float, default: float) -> float:
    """A number that NaN and Inf in the model (a fault of its own) have not reached."""
    return number if math.isfinite(number) else default


# ---- one step forward, and its factor backward -----------------------------------------------------------------------

Step = Callable[["Node", Mapping["Node", Moments]], tuple[Moments, dict["Node", float]]]


def first_moments(node: Node) -> Moments:
    """Of an input (standardized), or of the vectors of an embedding."""
    weight = getattr(node.module, "weight", None)
    if node.kind is Kind.EMBEDDING and weight is not None and has_values(weight):
        return Moments(float(weight.detach()[:4096].double().square().mean()))
    return Moments()


def normalized(
    node: Node, given: Mapping[Node, Moments], square: float, offset: float, mean: float
) -> tuple[Moments, dict[Node, float]]:
    """Each sort of normalization divides by the part of q that it leaves after taking its own mean away."""
    source, before = next(iter(given.items()))
    if node.detail in ("batch", "instance"):
        spread, shared = before.q - before.s, 0.0
    elif node.detail in ("rms", "unit", "local"):
        spread, shared = before.q, before.s
    else:
        spread, shared = before.q - before.m**2, before.s - before.m**2
    if node.detail == "local":
        return before, {source: 1.0}
    if node.detail == "unit":  # to length 1, not to mean square 1
        square /= (node.shape or (1,))[-1]
    divisor = max(spread, 1e-12) + float(getattr(node.module, "eps", 1e-5) or 0.0)
    left = square * max(spread, 0.0) / divisor  # a depthwise layer's output may be smaller than epsilon
    moments = Moments(left + offset, square * max(shared, 0.0) / divisor + offset, mean)
    return moments, {source: square / divisor, **{other: 0.0 for other in given if other is not source}}


def affine(
    node: Node, given: Mapping[Node, Moments], square: float, offset: float, mean: float
) -> tuple[Moments, dict[Node, float]]:
    """x * a, x + b with a and b that do not depend on the input."""
    source, before = next(iter(given.items()))
    root = math.sqrt(square)
    moments = Moments(square * before.q + offset, square * before.s + offset, root * before.m + mean)
    return moments, {source: square}


def activated(
    node: Node, given: Mapping[Node, Moments], activation: Activation | None
) -> tuple[Moments, dict[Node, float]]:
    """Through a nonlinearity: of one input, of pieces (maxout), of two signs (CReLU)."""
    source, before = next(iter(given.items()))
    others = {other: 0.0 for other in given if other is not source}
    if node.detail == "maxout":
        mean = before.q**0.5 * expected_maximum(node.pieces)
        share = 1.0 / len(given) if len(given) > 1 else 1.0
        return Moments(before.q, before.s, mean), dict.fromkeys(given, share)
    if node.detail == "glu":
        return Moments(before.q * 0.3, before.s * 0.3, 0.0), {source: 0.3, **others}
    if activation is None:
        return before, {source: 1.0, **others}
    if before.p > 0.1 * before.q:
        branch = max(before.q - before.p, 1e-3 * before.q)
        share = before.r**2 / before.p * math.pi / 2  # 1/2 for a rectified Gaussian, 1 for the size of one
        second, mean, slope = activation.moments_after_rectified_sum(before.p, share, branch)
        shared = second - slope**2 * (before.q - before.s)
        return rectified(activation, second, shared, mean), {source: slope**2, **others}
    variance = max(before.q - before.m**2, 1e-4 * before.q, _TINY)
    second, mean, slope = activation.moments(variance, before.m)
    shared = activation.overlap(variance, before.m, (before.s - before.m**2) / variance)
    return rectified(activation, second, shared, mean), {source: slope**2, **others}


def rectified(activation: Activation, second: float, shared: float, mean: float) -> Moments:
    """The moments after an activation; what a rectifier lets through is the rectified part of sums to come."""
    positive = second if activation.saturates_low and not activation.saturates_high else 0.0
    return Moments(second, min(max(shared, mean**2), second), mean, positive, mean if positive else 0.0)


def expected_maximum(pieces: int) -> float:
    """E[max] of that many standard Gaussians, near enough: 0.56 for two."""
    return math.sqrt(2 * math.log(max(pieces, 1))) * 0.48 if pieces > 1 else 0.0


def passed_on(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Reshapes, slices, casts, dropout, and all that the estimate knows nothing of: unchanged."""
    return next(iter(given.values())), dict.fromkeys(given, 1.0)


def summed(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """x + y, of independent x and y."""
    mean = sum(before.m for before in given.values())
    cross = mean**2 - sum(before.m**2 for before in given.values())
    q = sum(before.q for before in given.values()) + cross
    positive = sum(before.p for before in given.values())
    rectified_mean = sum(before.r for before in given.values())
    return Moments(q, sum(b.s for b in given.values()) + cross, mean, positive, rectified_mean), dict.fromkeys(given, 1.0)


def multiplied(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """x * y: each is the other's factor."""
    parts = list(given.items())
    if len(parts) == 1:  # x * x, or the other operand carries no gradient
        return parts[0][1], {parts[0][0]: 1.0}
    (x, a), (y, b) = parts[:2]
    return Moments(a.q * b.q, a.s * b.s, a.m * b.m), {x: b.q, y: a.q}


def joined(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Side by side: each gets the share of the gradient that falls on its own elements."""
    sizes = {source: math.prod(source.shape or (1,)) for source in given}
    total = max(math.prod(node.shape or (1,)), sum(sizes.values()))
    shares = {source: size / total for source, size in sizes.items()}
    mean = Moments(
        sum(share * given[source].q for source, share in shares.items()) / sum(shares.values()),
        sum(share * given[source].s for source, share in shares.items()) / sum(shares.values()),
        sum(share * given[source].m for source, share in shares.items()) / sum(shares.values()),
    )
    return mean, shares


def averaged(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """The mean, sum or maximum over a window, or over whole dimensions."""
    source, before = next(iter(given.items()))
    window = max(1.0, math.prod(source.shape or (1,)) / max(1, math.prod(node.shape or (1,))))
    if node.kind is Kind.POOL:
        window = max(window, float(kernel_size(node)))
    if node.detail in ("max", ""):
        return replace(before), {source: 1.0}
    left = before.s + (before.q - before.s) / window
    if node.detail == "sum":
        return Moments(left * window**2, before.s * window**2, before.m * window), {source: window}
    return Moments(left, before.s, before.m), {source: 1 / window}


def kernel_size(node: Node) -> int:
    """The elements in a pooling window; 1 if it is not stated."""
    size = node.option("kernel_size", 1, 1)
    if isinstance(size, int):
        rank = max(1, len(node.shape or ()) - 2)
        return int(size**rank)
    return math.prod(size) if isinstance(size, tuple | list) else 1


def attended(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """scaled_dot_product_attention: at initialization the average of the values."""
    values = node.argument(2, "value")
    source = values if values in given else list(given)[-1]
    keys = source.shape[-2] if source.shape and len(source.shape) > 1 else 1
    before = given[source]
    moments = Moments(before.s + (before.q - before.s) / keys, before.s, before.m)
    return moments, {other: 1 / keys if other is source else 0.0 for other in given}


def soft(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Softmax: about uniform at initialization; almost no gradient gets through."""
    size = node.shape[-1] if node.shape else 1
    return Moments(1 / size**2, 1 / size**2, 1 / size), dict.fromkeys(given, 1 / size**2)


def matrix_product(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Of two activations: attention's scores, or its average of the values."""
    parts = list(given.items())
    if len(parts) < 2 or not parts[0][0].shape or not parts[1][0].shape:
        return parts[0][1], dict.fromkeys(given, 1.0)
    (x, a), (y, b) = parts[:2]
    inner = (x.shape or (1,))[-1]
    coherent = inner * a.m * b.m
    q = inner * a.q * b.q + coherent**2
    rows = (x.shape or (1, 1))[-2] if len(x.shape or ()) > 1 else 1
    columns = (y.shape or (1, 1))[-1]
    return Moments(q, inner * a.s * b.s + coherent**2, coherent), {x: columns * b.q, y: rows * a.q}


STEPS: dict[Kind, Step] = {
    Kind.ADD: summed,
    Kind.GATE: multiplied,
    Kind.CAT: joined,
    Kind.POOL: averaged,
    Kind.REDUCE: averaged,
    Kind.ATTENTION: attended,
    Kind.SOFTMAX: soft,
    Kind.MATMUL: matrix_product,
}

