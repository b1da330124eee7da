"""What watching a training costs: at every 500 steps it should be below 1 % of a step.

    pytest tests/benchmarks/test_watch.py --benchmark-only

A small convolutional net, whose steps are short: of a larger one a look is a smaller part.
"""

from __future__ import annotations

import time

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

import netcheck

STEPS = 10


def build() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    layers = [layer for _ in range(6) for layer in (nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())]
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    return model, torch.randn(16, 3, 16, 16), torch.arange(16) % 10


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = STEPS) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return (time.perf_counter() - start) / steps


@pytest.mark.benchmark(group="a step of training")
def test_without(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(train, build(), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="a step of training")
def test_watched_at_every_500(benchmark: BenchmarkFixture) -> None:
    """The overhead from its parts: what a look costs, a five-hundredth of it, and what the hook of each step costs."""
    given = build()
    train(*given)
    plain = min(train(*given) for _ in range(3))
    with netcheck.watch(given[0], every=1):
        looked = min(train(*given) for _ in range(3))
    with netcheck.watch(given[0], every=10**9):
        train(*given, steps=1)
        benchmark.pedantic(train, given, rounds=3)
    calls = 10_000
    with netcheck.watch(nn.Identity(), every=10**9) as watch:
        watch.before()
        start = time.perf_counter()
        for _ in range(calls):
            watch.before()
            watch.after()
        hook = (time.perf_counter() - start) / calls
    overhead = ((looked - plain) / 500 + hook) / plain
    benchmark.extra_info |= {"step": plain, "look": looked - plain, "hook": hook, "overhead": overhead}
    assert overhead < 0.01
