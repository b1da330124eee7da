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
from functools import lru_cache

import torch

Function = Callable[[torch.Tensor], torch.Tensor]

_NODES = 2001
_Z = torch.linspace(-8, 8, _NODES, dtype=torch.float64)
_WEIGHTS = torch.exp(-_Z**2 / 2) / torch.exp(-_Z**2 / 2).sum()
_COARSE = torch.linspace(-6, 6, 121, dtype=torch.float64)
_COARSE_WEIGHTS = torch.exp(-_COARSE**2 / 2) / torch.exp(-_COARSE**2 / 2).sum()
_COARSER = _COARSE[::2]  # for integrals over two variables
_COARSER_WEIGHTS = _COARSE_WEIGHTS[::2] / _COARSE_WEIGHTS[::2].sum()
_TAIL = (4.0, 6.0)  # where an activation that saturates is flat: far out for a unit-variance input, and still met
_FLAT = 0.1  # share of its steepest slope below which it counts as flat there
_QUANTUM = 0.05  # decades of variance


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
        self._overlaps: dict[tuple[int, int, int], float] = {}
        self._folded: dict[tuple[int, int, int], tuple[float, float, float]] = {}

    @property
    def saturates(self) -> bool:
        """Flat on both sides: a large input of either sign lets no gradient through (tanh, sigmoid, softsign)."""
        return self.saturates_low and self.saturates_high

    @property
    def rectifies(self) -> bool:
        """Flat, or much flatter, on one side (ReLU and its smooth and leaky relatives)."""
        return self.saturates_low != self.saturates_high

    def moments(self, variance: float, mean: float = 0.0) -> tuple[float, float, float]:
        """(second moment, mean, slope) for Gaussian pre-activations."""
        if self.rectifier:
            return rectified_gaussian(max(variance, 1e-30), mean)
        key = _rounded(variance, mean)
        known = self._moments.get(key)
        if known is None:
            values, slopes = evaluated(self.function, _spread(key, _Z))
            known = (
                float((_WEIGHTS * values**2).sum()),
                float((_WEIGHTS * values).sum()),
                math.sqrt(float((_WEIGHTS * slopes**2).sum())),
            )
            self._moments[key] = known
        return known

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
        """E[f(z1) f(z2)] for the pre-activations of two samples at one unit, of the given correlation."""
        key = (*_rounded(variance, mean), round(max(-1.0, min(1.0, correlation)) * 50))
        known = self._overlaps.get(key)
        if known is None:
            c = key[2] / 50
            z1 = _COARSER[:, None]  # (61, 1)
            z2 = c * z1 + math.sqrt(max(0.0, 1 - c * c)) * _COARSER[None, :]  # (61, 61)
            first = self.function(_spread(key[:2], _COARSER))  # (61,)
            second = self.function(_spread(key[:2], z2.flatten())).view_as(z2) @ _COARSER_WEIGHTS  # (61,)
            known = float((_COARSER_WEIGHTS * first * second).sum())
            self._overlaps[key] = known
        return known

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
    """The same for z = r + b, b ~ N(0, variance), r = |g| for a `share` of units and 0 for the rest, E[r^2] = positive."""
    stream = _COARSE.abs() * math.sqrt(positive / share)  # (121,)
    spread = math.sqrt(variance)
    live = torch.special.ndtr(stream / spread)  # P(z > 0 | r)
    density = torch.exp(-0.5 * (stream / spread) ** 2) * (spread / math.sqrt(2 * math.pi))
    on_stream = torch.stack(((stream**2 + variance) * live + stream * density, stream * live + density, live))
    second, mean, slope = (on_stream @ _COARSE_WEIGHTS).tolist()
    rest = 1 - share
    second, mean = share * second + rest * variance / 2, share * mean + rest * spread / math.sqrt(2 * math.pi)
    return second, mean, math.sqrt(share * slope + rest / 2)


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
        values = function(x)
        if values.requires_grad:
            (slopes,) = torch.autograd.grad(values.sum(), x)
            if bool(slopes.isfinite().all()):
                return values.detach(), slopes
    with torch.no_grad():
        step = 1e-4 * max(1.0, float(z.abs().max()) / 8)
        return values.detach(), (function(z + step) - function(z - step)) / (2 * step)


@lru_cache(maxsize=1)
def relu() -> Activation:
    """The rectifier that advice proposes."""
    return Activation(torch.relu)


@lru_cache(maxsize=1)
def identity() -> Activation:
    """No activation at all."""
    return Activation(lambda x: x * 1)
