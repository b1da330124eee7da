"""What a whole default check costs, in training steps of the same model and batch.

    OMP_NUM_THREADS=1 pytest tests/benchmarks/test_check.py --benchmark-only -rA

A check traces, measures gradients, compares samples and calls, and asks every rule. Of ResNet-18 on four images it may take four
steps. Small nets are run three times on 32 samples in double precision, which is most of what they cost; their limits are 1.5
times what a check took that measured gradients alone. A step and a check are timed in turn, the best of each is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

import netcheck
from tests.benchmarks.test_probe import cpu_time

ROUNDS = 8


class Encoder(nn.Module):
    """Four layers on tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.positions = nn.Embedding(1000, 64), nn.Parameter(torch.randn(32, 64) * 0.02)
        layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.head(self.norm(self.layers(self.embedding(tokens) + self.positions)).mean(1))
        return features


def resnet18() -> tuple[nn.Module, Tensor]:
    models = pytest.importorskip("torchvision").models
    return models.resnet18(), torch.randn(4, 3, 96, 96)


def perceptron() -> tuple[nn.Module, Tensor]:
    sizes = (784, 256, 256)
    layers = [part for i, o in pairwise(sizes) for part in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(256, 10)), torch.randn(32, 784)


def convolutions() -> tuple[nn.Module, Tensor]:
    layers: list[nn.Module] = []
    for i, o in ((3, 32), (32, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10)), torch.randn(16, 3, 32, 32)


def encoder() -> tuple[nn.Module, Tensor]:
    return Encoder(), torch.randint(0, 1000, (8, 32))


STEPS = {resnet18: 4.0, perceptron: 58.0, convolutions: 45.0, encoder: 50.0}  # that a check may cost


@pytest.mark.parametrize("build", STEPS, ids=lambda build: build.__name__)
def test_whole_check(benchmark: BenchmarkFixture, build: Callable[[], tuple[nn.Module, Tensor]]) -> None:
    torch.manual_seed(0)
    model, x = build()
    alone = step(model, x)
    best = [cpu_time(alone), cpu_time(lambda: netcheck.check(model, x))]

    def both() -> None:
        best[:] = min(best[0], cpu_time(alone)), min(best[1], cpu_time(lambda: netcheck.check(model, x)))

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    ratio = best[1] / best[0]
    benchmark.extra_info.update(steps=ratio)
    print(f"{build.__name__}: a check costs {ratio:.2f} training steps of {best[0]:.4f} s")
    assert ratio <= STEPS[build]


def step(model: nn.Module, x: Tensor) -> Callable[[], object]:
    """A training step that leaves the weights where they are."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)

    def run() -> object:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        return optimizer.step()

    return run
