"""What one pass of the probe costs, beside a bare forward and backward of the same model, batch and precision.

    OMP_NUM_THREADS=1 pytest tests/benchmarks/test_probe.py --benchmark-only -rA

A pass with all statistics should take at most 1.10 times the CPU time of the bare one, and 1.10 times its memory at the peak.
The two are timed in turn, the best of each is kept: so that other work on the machine disturbs both alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn
from torch.profiler import ProfilerActivity, profile

from netcheck.measure.gradients import Experiment
from netcheck.measure.inputs import Example
from netcheck.measure.passes import Stage
from netcheck.measure.plan import Plan
from netcheck.measure.watch import Wires
from netcheck.trace.run import trace

SAMPLES = 8
ROUNDS = 12
LIMIT = 1.10


def resnet50() -> tuple[nn.Module, torch.Tensor]:
    models = pytest.importorskip("torchvision").models
    return models.resnet50(), torch.randn(SAMPLES, 3, 96, 96)


def encoder(width: int, positions: int) -> tuple[nn.Module, torch.Tensor]:
    layer = nn.TransformerEncoderLayer(width, 8, 4 * width, batch_first=True, dropout=0.0)
    model = nn.Sequential(nn.TransformerEncoder(layer, 12), nn.Linear(width, 10))
    return model, torch.randn(SAMPLES, positions, width)


MODELS = {
    "ResNet-50, 96 pixels": resnet50,
    "12-layer encoder, 64 x 256": lambda: encoder(256, 64),
    "12-layer encoder, 128 x 512": lambda: encoder(512, 128),
}


@pytest.mark.parametrize("name", MODELS)
def test_pass(benchmark: BenchmarkFixture, name: str) -> None:
    torch.manual_seed(0)
    model, x = MODELS[name]()
    alone, whole = bare(model, x), probed(model, x)
    best = [cpu_time(alone), cpu_time(whole)]

    def both() -> None:
        best[:] = min(best[0], cpu_time(alone)), min(best[1], cpu_time(whole))

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    memory = peak_memory(whole) / peak_memory(alone)
    benchmark.extra_info.update(time=best[1] / best[0], memory=memory)
    print(f"{name}: {best[1] / best[0]:.3f} of the bare time, {memory:.3f} of its memory")
    assert best[1] <= LIMIT * best[0]
    assert memory <= LIMIT


def cpu_time(run: Callable[[], object]) -> float:
    """Of one run, in seconds of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def peak_memory(run: Callable[[], object]) -> int:
    """The most bytes that tensors made by one run held at a time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    held = most = 0
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


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
