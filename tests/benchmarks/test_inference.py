"""What the search for inputs costs, beside one trace of the model on them.

    pytest tests/benchmarks/test_inference.py --benchmark-only -s

Both in one run, on torchvision's models: at most eight traces' time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

import netcheck
from netcheck.api import infer_inputs
from tests.load.zoo_models import torchvision_models

MOST = 8  # traces


def thread_seconds(work: Callable[[], object]) -> float:
    """The CPU time of this thread for one piece of work; warm."""
    work()
    started = time.thread_time()
    work()
    return time.thread_time() - started


@pytest.mark.parametrize(("name", "size"), [("resnet50", 224), ("inception_v3", 299)])
def test_inputs_are_found_in_the_time_of_a_few_traces(name: str, size: int, benchmark: BenchmarkFixture) -> None:
    model: nn.Module = dict(torchvision_models())[name]()
    images = torch.zeros(2, 3, size, size)
    traced = thread_seconds(lambda: netcheck.trace(model, images))
    benchmark.pedantic(lambda: infer_inputs(model), rounds=3, warmup_rounds=1)
    found = thread_seconds(lambda: infer_inputs(model))
    benchmark.extra_info["traces"] = round(found / traced, 1)
    print(f"\n{name}: inputs found in the time of {found / traced:.1f} traces")
    assert found < MOST * traced
