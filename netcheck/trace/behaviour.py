"""What an elementwise function does to a signal and its gradient, measured on numbers.

A pre-activation is taken as Gaussian (mean-field theory: Poole et al. 2016, Schoenholz et al. 2017). For an activation f
and z ~ N(m, v):

    second moment   E[f(z)^2]            mean square of its output
    mean            E[f(z)]
    slope           sqrt(E[f'(z)^2])     what one backward pass through it multiplies a gradient's norm by
    overlap         E[f(z1) f(z2)]       z1, z2 of correlation c: two samples at one unit
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, lru_cache

import torch

from netcheck.trace.pullback import pullback

Function = Callable[[torch.Tensor], torch.Tensor]

_NODES = 2001
_Z = torch.linspace(-8, 8, _NODES, dtype=torch.float64)
_WEIGHTS = torch.exp(-(_Z**2) / 2) / torch.exp(-(_Z**2) / 2).sum()
_COARSE = torch.linspace(-6, 6, 121, dtype=torch.float64)
_COARSE_WEIGHTS = torch.exp(-(_COARSE**2) / 2) / torch.exp(-(_COARSE**2) / 2).sum()
_FIXED = 0.02  # of the mean and the variance 0 and 1 of a self-normalizing activation
_TAIL = (4.0, 6.0)  # where an activation that saturates is flat: far out for a unit-variance input, and still met
_FLAT = 0.1  # share of its steepest slope below which it counts as flat there
_QUANTUM = 0.05  # decades of variance
_TERMS = 24  # of an expansion in Hermite polynomials: leaves 0.0008 of a rectifier's second moment, less of smooth functions


def hermite(z: torch.Tensor) -> torch.Tensor:
    """The first Hermite polynomials, normalized under a standard Gaussian, at the points `z` (n,): (24, n)."""
    rows = [torch.ones_like(z), z]
    for k in range(1, _TERMS - 1):
        rows.append((z * rows[k] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1))
    return torch.stack(rows)


_HERMITE = hermite(_Z) * _WEIGHTS  # (24, 2001)


class Activation:
    """The measured behaviour of one elementwise function.

    Attributes:
        saturates_low, saturates_high: whether the slope dies for large negative, large positive inputs.
        zero_centred: whether its two limits lie on both sides of zero, about equally far.
        steepest: its largest slope on [-6, 6].
        rectifier: whether it is max(x, 0) itself.
        nonnegative: whether it never gives a negative number.
        linear: whether it does nothing to a signal but scale and shift it.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        values, slopes = evaluated(function, torch.linspace(-6, 6, 1201, dtype=torch.float64))
        size = slopes.abs()
        self.steepest = float(size.max())
        grid = torch.linspace(-6, 6, 1201)
        self.saturates_low = bool(size[(grid <= -_TAIL[0])].max() <= _FLAT * self.steepest)
        self.saturates_high = bool(size[(grid >= _TAIL[0])].max() <= _FLAT * self.steepest)
        low, high = float(values[0]), float(values[-1])
        self.zero_centred = abs(low + high) <= 0.2 * abs(high - low)
        self.rectifier = torch.equal(values, torch.linspace(-6, 6, 1201, dtype=torch.float64).clamp(min=0))
        self.nonnegative = float(values.min()) >= 0 < high
        self.linear = is_affine(values)  # its values decide, not its slopes: a straight-through estimator has the slope of 1
        self._moments: dict[tuple[int, int], tuple[float, float, float]] = {}
        self._hermite: dict[tuple[int, int], tuple[float, ...]] = {}
        self._folded: dict[tuple[int, int, int], tuple[float, float, float]] = {}

    @property
    def saturates(self) -> bool:
        """Flat on both sides: a large input of either sign lets no gradient through (tanh, sigmoid, softsign)."""
        return self.saturates_low and self.saturates_high

    @property
    def rectifies(self) -> bool:
        """Flat, or much flatter, on one side (ReLU and its smooth and leaky relatives)."""
        return self.saturates_low != self.saturates_high

    @cached_property
    def flat_below(self) -> float | None:
        """Up to where the slope of a rectifier is exactly 0, from the left: 0 for ReLU; None for what is flat nowhere, or
        saturates.
        """
        if not (self.saturates_low and self.rectifies):
            return None
        grid = torch.arange(-3200, 3201, dtype=torch.float64) / 100  # has 0 exactly
        _, slopes = evaluated(self.function, grid)
        alive = slopes.abs() > 1e-12
        first = int(alive.double().argmax())
        sharp = float(slopes[first].abs()) > 0.01 * self.steepest  # GELU fades out: there is no edge
        return float(grid[first - 1]) if first > 0 and sharp else None

    @cached_property
    def normalizes(self) -> bool:
        """Whether it gives a standard Gaussian back its mean and variance, as SELU does (Klambauer et al. 2017, section 2)."""
        second, mean, _ = self.moments(1.0)
        return not self.linear and abs(mean) < _FIXED and abs(second - 1) < _FIXED

    def moments(self, variance: float, mean: float = 0.0) -> tuple[float, float, float]:
        """(second moment, mean, slope) for Gaussian pre-activations."""
        if self.rectifier:
            return rectified_gaussian(max(variance, 1e-30), mean)
        key = _rounded(variance, mean)
        if key not in self._moments:
            values, slopes = evaluated(self.function, _spread(key, _Z))
            self._moments[key] = (
                float((_WEIGHTS * values**2).sum()),
                float((_WEIGHTS * values).sum()),
                math.sqrt(float((_WEIGHTS * slopes**2).sum())),
            )
            self._hermite[key] = expanded(values)
        return self._moments[key]

    def moments_after_rectified_sum(self, positive: float, share: float, variance: float) -> tuple[float, float, float]:
        """(second moment, mean, slope) for z = r + b, b ~ N(0, variance), r = |g| for a `share` of units and 0 for the rest.

        What a residual net with a rectifier after each sum (He et al. 2015) carries: a stream that is never negative
        (`positive` is its mean square), and walks up by what each branch adds. A Gaussian would lose a part of it at
        every block.
        """
        if self.rectifier:
            return rectified_sum(max(positive, 1e-30), max(0.1, min(1.0, share)), max(variance, 1e-30))
        share = max(0.1, min(1.0, round(share * 10) / 10))
        key = (*_rounded(positive, 0.0)[:1], *_rounded(variance, 0.0)[:1], round(share * 10))
        known = self._folded.get(key)
        square, spread = 10 ** (key[0] * _QUANTUM), 10 ** (key[1] * _QUANTUM)
        if known is None:
            stream = (_COARSE.abs() * math.sqrt(square / share))[:, None]  # (121, 1)
            branch = (_COARSE * math.sqrt(spread))[None, :]  # (1, 121)
            weights = (_COARSE_WEIGHTS[:, None] * _COARSE_WEIGHTS[None, :]).flatten()  # (14641,)
            values, slopes = evaluated(self.function, torch.stack(((stream + branch).flatten(), (0 * stream + branch).flatten())))
            parts = torch.tensor([share, 1 - share], dtype=torch.float64)
            known = (
                float(parts @ (values**2 @ weights)),
                float(parts @ (values @ weights)),
                math.sqrt(float(parts @ (slopes**2 @ weights))),
            )
            self._folded[key] = known
        second, mean, slope = known
        exact = (positive + variance) / (square + spread)  # what rounding took must not add up over a hundred blocks
        return second * exact, mean * math.sqrt(exact), slope

    def overlap(self, variance: float, mean: float, correlation: float) -> float:
        """E[f(z1) f(z2)] for the pre-activations of two samples at one unit, of the given correlation.

        By Mehler's formula: with f's coefficients a_k in normalized Hermite polynomials, it is the sum of a_k^2 c^k (Daniely
        et al. 2016, Toward Deeper Understanding of Neural Networks).
        """
        key = _rounded(variance, mean)
        squares = self._hermite.get(key)
        if squares is None:
            squares = self._hermite[key] = expanded(self.function(_spread(key, _Z)).double())
        c = max(-1.0, min(1.0, correlation))
        total = 0.0
        for square in reversed(squares):
            total = total * c + square
        return total

    @property
    def gain(self) -> float:
        """The weights' recommended std * sqrt(fan_in) in front of it.

        sqrt(2 / (1 + a^2)) for rectifiers by He et al. 2015, eq. 14; 5/3 for tanh-like functions and 1 for sigmoid-like
        ones as `torch.nn.init.calculate_gain` has them. By behaviour: the inverse of the slope of what does not saturate,
        and of the slope at zero of what is linear there (hardtanh), where more would make the gradient grow.
        """
        if self.saturates:
            if not self.zero_centred:
                return 1.0
            at_zero, nearby = self.moments(1e-6)[2], self.moments(0.05)[2]
            return (1.0 if nearby > 0.99 * at_zero else 5 / 3) / max(at_zero, 0.1)
        return 1 / max(self.moments(1.0)[2], 0.1)


def expanded(values: torch.Tensor) -> tuple[float, ...]:
    """The squared coefficients of f(z) (2001,) in Hermite polynomials; what they leave of E[f^2] counts as one more."""
    squares = ((_HERMITE @ values) ** 2).tolist()
    return (*squares, max(float((_WEIGHTS * values**2).sum()) - sum(squares), 0.0))


def is_affine(values: torch.Tensor) -> bool:
    """Whether values (n,) at equally spaced points lie on a line."""
    line = torch.linspace(float(values[0]), float(values[-1]), len(values), dtype=values.dtype)
    return float((values - line).abs().max()) <= 1e-6 * max(float(values.max() - values.min()), 1e-12)


def rectified_gaussian(variance: float, mean: float) -> tuple[float, float, float]:
    """E[f^2], E[f] and sqrt(E[f'^2]) of f = max(z, 0) for z ~ N(mean, variance), in closed form."""
    spread = math.sqrt(variance)
    positive = 0.5 * math.erfc(-mean / spread / math.sqrt(2))  # P(z > 0)
    density = math.exp(-0.5 * (mean / spread) ** 2) / math.sqrt(2 * math.pi)
    second = (mean**2 + variance) * positive + mean * spread * density
    return max(second, 0.0), max(mean * positive + spread * density, 0.0), math.sqrt(positive)


def rectified_sum(positive: float, share: float, variance: float) -> tuple[float, float, float]:
    """The same for z = r + b, b ~ N(0, variance), r = |g| for a `share` of units and 0 for the rest, E[r^2] = positive.

    In closed form: (g, b) in polar coordinates, f = R max(cos(t - angle), 0) over the half plane of g > 0.
    """
    stream, spread = math.sqrt(positive / share), math.sqrt(variance)
    angle, radius = math.atan2(spread, stream), math.hypot(spread, stream)
    live = 1 - angle / math.pi  # P(z > 0) where there is a stream
    second = live * radius**2 + stream * spread / math.pi
    mean = (stream + radius) / math.sqrt(2 * math.pi)
    rest = 1 - share
    second, mean = share * second + rest * variance / 2, share * mean + rest * spread / math.sqrt(2 * math.pi)
    return second, mean, math.sqrt(share * live + rest / 2)


def _rounded(variance: float, mean: float) -> tuple[int, int]:
    """log v in steps of a twentieth of a decade, m in tenths of a standard deviation: nearby values share one computation."""
    steps = round(math.log10(max(variance, 1e-30)) / _QUANTUM)
    return steps, max(-400, min(400, round(10 * mean / 10 ** (steps * _QUANTUM / 2))))


def _spread(key: tuple[int, int], z: torch.Tensor) -> torch.Tensor:
    """Standard Gaussian points with the variance and mean that a rounded key stands for."""
    return (z + key[1] / 10) * 10 ** (key[0] * _QUANTUM / 2)


def evaluated(function: Function, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """f(z) and f'(z) at the points `z` (n,), by autograd, or by differences where it has no gradient."""
    with torch.enable_grad():
        x = z.detach().clone().requires_grad_(True)
        values = function(x).double()  # it may round on its way
        if values.requires_grad:
            slopes = derivative(values, x)
            if bool(slopes.isfinite().all()):
                return values.detach(), slopes
    with torch.no_grad():
        step = 1e-4 * max(1.0, float(z.abs().max()) / 8)
        return values.detach(), (function(z + step).double() - function(z - step).double()) / (2 * step)


def derivative(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """d sum(values) / dx (n,); by autograd's engine only where its operations cannot be asked one by one."""
    try:
        found = pullback(values, x)
    except Exception:
        found = None
    if found is None:
        (found,) = torch.autograd.grad(values.sum(), x)
    return found.detach()


@lru_cache(maxsize=1)
def relu() -> Activation:
    """The rectifier that advice proposes."""
    return Activation(torch.relu)


@lru_cache(maxsize=1)
def identity() -> Activation:
    """No activation at all."""
    return Activation(lambda x: x * 1)
