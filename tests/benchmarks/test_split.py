"""What it takes to split a batch: of ResNet-50 at batch 32 over 4 devices, less than three traces of it on fake tensors.

    pytest tests/benchmarks/test_split.py --benchmark-only -s

Times are of this process (CPU seconds), the two alternating, so that other work on the machine counts for neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from netcheck.measure.split import split
from netcheck.trace import trace
from tests.zoo import declare_torchvision_operators

ROUNDS = 7


def test_split_on_paper_beside_one_trace(benchmark: BenchmarkFixture) -> None:
    declare_torchvision_operators()
    from torchvision import models

    model, x = models.resnet50(weights=None), torch.randn(2, 3, 224, 224)
    graph = trace(model, (x,))
    seconds: dict[str, list[float]] = {"trace": [], "split": []}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = call()
        seconds[name].append(time.process_time() - start)
        return result

    def both() -> Any:
        timed("trace", lambda: trace(model, (x,)))
        return timed("split", lambda: split(graph, (x,), {}, devices=4, samples=32, run=False))

    found = benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    assert found.samples == (8, 8, 8, 8)
    one, ours = median(seconds["trace"][1:]), median(seconds["split"][1:])
    print(f"\nResNet-50, 32 over 4: {1000 * ours:.0f} ms = {ours / one:.2f} traces of {1000 * one:.0f} ms (at most 3)")
    benchmark.extra_info |= {"trace": one, "split": ours}
    assert ours < 3 * one
