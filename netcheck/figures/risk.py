"""How likely it is that a net does not train, by what one probe measures of it: a prediction, and no fact.

    Risk.of(gain=-4.0, rank=0.12, differing=0.3, turned=0.0, spread=2.4) -> Risk(sgd=0.88, adam=0.37)

A logistic model of a few numbers, fitted to networks whose training was measured: see `tests/calibration/README.md`, where a
command repeats the fit, and what it says of families of networks that it was not fitted to. Imports no torch.

With SGD, a gradient that turns counts by how few directions the samples lie along: in large nets, whose samples lie along many,
it turns as much, and they train.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST = 8.0  # decades, beyond which a gain is as bad as any
USUAL_TURN, USUAL_SPREAD = 0.1, 0.6  # of a net of which they could not be measured
LIKELY = 0.8  # from here on a prediction is a warning


@dataclass(frozen=True, slots=True)
class Risk:
    """The probability that a net does not train within a few hundred steps, at the best of several rates.

    Attributes:
        sgd: with SGD with momentum.
        adam: with Adam.
    """

    sgd: float
    adam: float

    @classmethod
    def of(
        cls, *, gain: float, rank: float, differing: float, turned: float | None, spread: float | None, recurrent: bool = False
    ) -> Risk:
        """By what was measured.

        Args:
            gain: decades, held against the net.
            rank: effective rank of the head's input, 0 to 1.
            differing: share of its mean square that differs between samples, 0 to 1.
            turned: 1 - cosine of the gradient over a small step.
            spread: decades between large and small |g|/|w|.
            recurrent: whether the net runs over steps with a state: its last state starts along few directions, and leaves them.
        """
        features = features_of(gain=gain, rank=rank, differing=differing, turned=turned, spread=spread, recurrent=recurrent)
        return cls(*(logistic(WEIGHTS[name], features) for name in ("sgd", "adam")))

    def __str__(self) -> str:
        """In words: "0.93 that it does not train with SGD, 0.40 with Adam"."""
        return f"{self.sgd:.2f} that it does not train with SGD, {self.adam:.2f} with Adam"


def features_of(
    *, gain: float, rank: float, differing: float, turned: float | None, spread: float | None, recurrent: bool = False
) -> tuple[float, ...]:
    """What the model sees of the measurements, each larger where it is worse."""
    held = -MOST if math.isnan(gain) else max(-MOST, min(MOST, gain))
    lost, grown = max(0.0, -held), max(0.0, held)
    few, alike = -math.log10(rank + 0.01), -math.log10(differing + 1e-4)
    return (
        lost,
        grown,
        lost**2 / MOST,
        grown**2 / MOST,
        few,
        alike,
        min(USUAL_TURN if turned is None else turned, 1.5),
        min(USUAL_SPREAD if spread is None else spread, 5.0),
        float(recurrent),
        few * recurrent,
        alike * recurrent,
        few * min(USUAL_TURN if turned is None else turned, 1.5),
    )


def logistic(weights: tuple[float, ...], features: tuple[float, ...]) -> float:
    """1 / (1 + exp(-z)), z = intercept + weights * features."""
    intercept, *factors = weights
    z = intercept + sum(factor * feature for factor, feature in zip(factors, features, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, z))))


# How far the gradient turns: by itself for Adam, by the directions for SGD, for each what predicts other families better.
UNUSED = {"sgd": 6, "adam": 11}  # the one of `features_of` that is not looked at

# Intercept, then one weight for each of `features_of`, as `python -m tests.calibration.risk` prints them.
WEIGHTS = {
    "sgd": (-4.655, 0.688, 1.419, 0.641, 0.757, 0.878, 0.369, 0.000, 0.613, 1.408, -0.030, -0.474, 2.664),
    "adam": (-5.414, 0.309, 1.523, 0.234, -1.092, 1.262, 0.616, 1.721, 0.474, 1.577, -0.169, -0.818, 0.000),
}
