"""What one pass of the probe costs, beside a bare forward and backward of the same model, batch and precision.

    pytest tests/benchmarks/test_probe.py --benchmark-only

The ratios stand in parentheses after the times: a pass with all statistics should stay below 1.10 of the bare one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from netcheck.measure.gradients import Experiment
from netcheck.measure.inputs import Example
from netcheck.measure.passes import Stage
from netcheck.measure.plan import Plan
from netcheck.measure.watch import Wires
from netcheck.trace.run import trace

SAMPLES = 8


def resnet50() -> tuple[nn.Module, torch.Tensor]:
    pytest.importorskip("zoo").declare_torchvision_operators()
    from torchvision import models

    return models.resnet50(), torch.randn(SAMPLES, 3, 96, 96)


def encoder() -> tuple[nn.Module, torch.Tensor]:
    layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, dropout=0.0)
    return nn.Sequential(nn.TransformerEncoder(layer, 12), nn.Linear(256, 10)), torch.randn(SAMPLES, 64, 256)


MODELS = {"ResNet-50": resnet50, "12-layer encoder": encoder}


@pytest.mark.parametrize("what", ["bare forward and backward", "a pass of the probe"])
@pytest.mark.parametrize("name", MODELS)
def test_pass(benchmark: BenchmarkFixture, name: str, what: str) -> None:
    benchmark.group = name
    torch.manual_seed(0)
    model, x = MODELS[name]()
    benchmark.pedantic(
        bare(model, x) if what.startswith("bare") else probed(model, x), rounds=5, warmup_rounds=1
    )


def bare(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """Forward, and gradients of every parameter and of the input."""
    parameters = [*model.parameters()]

    def run() -> object:
        leaf = x.clone().requires_grad_(True)
        result = model(leaf)
        return torch.autograd.grad(result, [leaf, *parameters], torch.randn_like(result), allow_unused=True)

    return run


def probed(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """One pass with all statistics: the second, since the first is also asked how predictable the gradient is."""
    graph = trace(model, (x,))
    plan = Plan(torch.device("cpu"), torch.float32, SAMPLES, 1)
    experiment = Experiment(Stage(graph, Wires.of(graph), Example.of(graph, (x,), {}), plan, 0))
    return lambda: experiment.one_pass(model, 1)
