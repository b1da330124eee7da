"""Five small tasks, each with an endless stream of batches, in the forms that the networks of `networks.py` read.

    digits      10 classes   scikit-learn's 1,797 images of 8 x 8, standardized
    waves       4 classes    a noisy sine of one of four frequencies, any phase: 24 steps of 1 value
    friedman    regression   Friedman's first function of 10 uniform features (scikit-learn's make_friedman1)
    gratings    regression   cosine and sine of twice the angle of a noisy grating of 8 x 8
    ledger      regression   the sum of the marked numbers among 24, each marked or not at random

Forms: "flat" (N, features), "image" (N, channels, 8, 8), "steps" (N, time, channels). Progress is the share of the way from
knowing nothing to knowing all: (accuracy - chance) / (1 - chance), or R squared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS = 24
Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        draw: (samples, generator) -> inputs (N, time, channels) and targets: classes (N,) or standardized numbers (N, outputs).
        outputs: of the network.
        side: of the image that the steps and channels of an input make; 0 if they make none.
    """

    draw: Draw
    outputs: int
    side: int = 0

    def batch(self, form: str, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs in a form, and targets."""
        inputs, targets = self.draw(samples, generator)
        if form == "image":
            inputs = inputs.reshape(samples, 1, self.side, self.side)
        return inputs.flatten(1) if form == "flat" else inputs, targets

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, or half the squared error."""
        return F.mse_loss(outputs, targets) if targets.is_floating_point() else F.cross_entropy(outputs, targets)

    def progress(self, outputs: Tensor, targets: Tensor) -> float:
        """0 for knowing nothing, 1 for knowing all."""
        if targets.is_floating_point():
            return float(1 - (outputs - targets).square().mean() / targets.var(0, unbiased=False).mean())
        return float(((outputs.argmax(1) == targets).float().mean() - 1 / self.outputs) / (1 - 1 / self.outputs))


@cache
def digits() -> tuple[Tensor, Tensor]:
    """All images (1797, 8, 8) and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)
    return (images - images.mean()) / images.std(), torch.tensor(found.target)


def draw_digits(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    images, classes = digits()
    chosen = torch.randint(len(images), (samples,), generator=generator)
    return images[chosen], classes[chosen]


def draw_waves(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    classes = torch.randint(4, (samples,), generator=generator)
    phase = 2 * math.pi * torch.rand(samples, 1, generator=generator)
    turns = (1.0 + 1.5 * classes[:, None]) * torch.arange(STEPS) / STEPS
    noise = 0.3 * torch.randn(samples, STEPS, generator=generator)
    return (math.sqrt(2) * torch.sin(2 * math.pi * turns + phase) + noise)[:, :, None], classes


def draw_friedman(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.rand(samples, 10, generator=generator)
    y = 10 * torch.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5).square() + 10 * x[:, 3] + 5 * x[:, 4]
    return ((x - 0.5) * math.sqrt(12))[:, :, None], ((y - 14.4) / 4.9)[:, None]


def draw_gratings(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    angle, phase = math.pi * torch.rand(2, samples, 1, 1, generator=generator) * torch.tensor([1.0, 2.0])[:, None, None, None]
    axis = torch.arange(8) / 8
    turns = 1.5 * (axis[:, None] * angle.cos() + axis * angle.sin())
    noise = 0.2 * torch.randn(samples, 8, 8, generator=generator)
    targets = torch.stack(((2 * angle).cos(), (2 * angle).sin()), 1).flatten(1)
    return math.sqrt(2) * torch.sin(2 * math.pi * turns + phase) + noise, math.sqrt(2) * targets


def draw_ledger(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    values = torch.randn(samples, STEPS, generator=generator)
    marks = torch.randint(2, (samples, STEPS), generator=generator).float()
    return torch.stack((values, 2 * marks - 1), 2), (values * marks).sum(1, keepdim=True) / math.sqrt(STEPS / 2)


TASKS = {
    "digits": Task(draw_digits, 10, side=8),
    "waves": Task(draw_waves, 4),
    "friedman": Task(draw_friedman, 1),
    "gratings": Task(draw_gratings, 2, side=8),
    "ledger": Task(draw_ledger, 1),
}
