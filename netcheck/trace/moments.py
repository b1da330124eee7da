"""What one operation does to the statistics of an activation on the way forward, and to the gradient's norm on the way back.

    STEPS[node.kind](node, {source: Moments}) -> Moments of the node, {source: factor of the squared norm}

    q     E[h^2]           mean square of a unit
    s     E[h_a h_b]       the part of it that two samples a, b share: what batch normalization takes away
    m     E[h]             mean over the units: what layer normalization takes away
    p, r  E[r^2], E[r]     of a rectified part r >= 0 in a sum h = r + b: the stream of a residual net

Mean-field theory: Poole et al. 2016; Schoenholz et al. 2017; Yang et al. 2019 for batch normalization.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netcheck.trace.kinds import FUNCTIONS, Kind
from netcheck.trace.weights import has_values

if TYPE_CHECKING:
    from netcheck.trace.behaviour import Activation
    from netcheck.trace.node import Node

TINY = 1e-60
HUGE = 1e60


@dataclass(frozen=True, slots=True)
class Moments:
    """The statistics of one activation: see the module's legend."""

    q: float = 1.0
    s: float = 0.0
    m: float = 0.0
    p: float = 0.0
    r: float = 0.0

    def scaled(self, square: float, shift_square: float = 0.0, shift: float = 0.0) -> Moments:
        """After multiplication with independent zero-mean weights of that gain squared, plus a bias."""
        return Moments(square * self.q + shift_square, square * self.s + shift_square, shift)

    def bounded(self) -> Moments:
        """The same, but for a mean square above `HUGE`: products of activations would soon be more than a float holds."""
        if self.q <= HUGE:
            return self
        share = HUGE / self.q
        return Moments(HUGE, self.s * share, self.m * share**0.5, self.p * share, self.r * share**0.5)


Step = Callable[["Node", Mapping["Node", Moments]], tuple[Moments, dict["Node", float]]]


def first_moments(node: Node) -> Moments:
    """Of an input (standardized), or of the vectors of an embedding."""
    weight = node.member("weight")
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
    """x * a, x + b, b - x with a and b that do not depend on the input."""
    source, before = next(iter(given.items()))
    sign, offset_sign = shift_signs(node)
    own, added = sign * math.sqrt(square) * before.m, offset_sign * mean
    both = 2 * own * added + offset  # E[(x + b)^2] - E[x^2]
    return Moments(square * before.q + both, square * before.s + both, own + added), {source: square}


def shift_signs(node: Node) -> tuple[int, int]:
    """The signs of the signal and of what is added to it: (-1, 1) in 1 - x, (1, -1) in x - 1, (1, 1) in a sum."""
    if "sub" not in node.function or not node.fx.args:
        return 1, 1
    signal_first = any(source.fx is node.fx.args[0] for source in node.inputs if source.carries)
    return (1, -1) if signal_first != ("rsub" in node.function) else (-1, 1)


def activated(node: Node, given: Mapping[Node, Moments], activation: Activation | None) -> tuple[Moments, dict[Node, float]]:
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
    variance = max(before.q - before.m**2, 1e-4 * before.q, TINY)
    second, mean, slope = activation.moments(variance, before.m)
    shared = activation.overlap(variance, before.m, (before.s - before.m**2) / variance)
    return rectified(activation, second, shared, mean), {source: slope**2, **others}


def rectified(activation: Activation, second: float, shared: float, mean: float) -> Moments:
    """The moments after an activation; what a rectifier lets through is the rectified part of sums to come."""
    positive = second if activation.saturates_low and not activation.saturates_high else 0.0
    square = mean * mean  # infinite, where a power would raise
    return Moments(second, min(max(shared, square), second), mean, positive, mean if positive else 0.0)


def expected_maximum(pieces: int) -> float:
    """E[max] of that many standard Gaussians, near enough: 0.56 for two."""
    return math.sqrt(2 * math.log(max(pieces, 1))) * 0.48 if pieces > 1 else 0.0


def passed_on(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Reshapes, slices, casts, dropout, and all that the estimate knows nothing of: unchanged."""
    if len(given) > 1 and FUNCTIONS.get(node.function, ("",))[0] is Kind.CAT:  # inside a CReLU, relu(cat([x, -x]))
        return joined(node, given)
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
    """x * y: each is the other's factor; of three, the others' product is."""
    if len(given) == 1:  # x * x, or the other operand carries no gradient
        (before,) = given.values()
        return before, dict.fromkeys(given, 1.0)
    return product(given), dict(zip(given, products_of_others([before.q for before in given.values()]), strict=True))


def product(given: Mapping[Node, Moments]) -> Moments:
    """Of independent values."""
    return Moments(*(math.prod(getattr(before, name) for before in given.values()) for name in ("q", "s", "m")))


def products_of_others(numbers: Sequence[float]) -> list[float]:
    """For each number, the product of all others."""
    return [math.prod(numbers[:index]) * math.prod(numbers[index + 1 :]) for index in range(len(numbers))]


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
    """The mean, sum or maximum over a window, or over whole dimensions; a distance takes two values."""
    source, before = next(iter(given.items()))
    window = window_of(node, source)
    if node.detail in ("max", ""):
        return replace(before), dict.fromkeys(given, 1.0)
    left = before.s + (before.q - before.s) / window
    if node.detail == "sum":
        return Moments(left * window**2, before.s * window**2, before.m * window), dict.fromkeys(given, window)
    return Moments(left, before.s, before.m), dict.fromkeys(given, 1 / window)


def window_of(node: Node, source: Node) -> float:
    """How many elements of `source` a pooling or a reduction takes for one of its own."""
    window = max(1.0, math.prod(source.shape or (1,)) / max(1, math.prod(node.shape or (1,))))
    return max(window, float(kernel_size(node))) if node.kind is Kind.POOL else window


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
    keys = max(1, source.shape[-2]) if source.shape and len(source.shape) > 1 else 1
    before = given[source]
    moments = Moments(before.s + (before.q - before.s) / keys, before.s, before.m)
    return moments, {other: 1 / keys if other is source else 0.0 for other in given}


def soft(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Softmax: about uniform at initialization, and almost no gradient gets through; its logarithm hands all of it on."""
    size = softmax_size(node)
    if node.detail == "log":
        return Moments(math.log(size) ** 2 + 1, math.log(size) ** 2, -math.log(size)), dict.fromkeys(given, 1.0)
    return Moments(1 / size**2, 1 / size**2, 1 / size), dict.fromkeys(given, 1 / size**2)


def softmax_size(node: Node) -> int:
    """The elements that a softmax goes over; 1 where there are none."""
    dim = node.option("dim", 1, -1) if node.over is None else node.over
    return max(1, (node.shape or (1,))[dim if isinstance(dim, int) and abs(dim) < len(node.shape or (1,)) else -1])


def matrix_product(node: Node, given: Mapping[Node, Moments]) -> tuple[Moments, dict[Node, float]]:
    """Of activations, (.., r, n) @ (.., n, c): attention's scores, or its average of the values; an einsum may take three.

    The gradient at x is g y^T: each of its r n elements is a sum of c products, r c of which make the norm of g.
    """
    first, before = next(iter(given.items()))
    if len(given) < 2 or not all(source.shape for source in given):
        return before, dict.fromkeys(given, 1.0)
    inner = (first.shape or (1,))[-1]  # n
    both = product(given)
    coherent = inner * both.m
    moments = Moments(inner * both.q + coherent**2, inner * both.s + coherent**2, coherent)
    others = products_of_others([before.q for before in given.values()])
    return moments, {source: inner * other for source, other in zip(given, others, strict=True)}


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
