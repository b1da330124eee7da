"""What all static rules together cost, beside the trace that they read.

    pytest tests/benchmarks/test_catalogue.py --benchmark-only -s

CPU time of one process, the trace and the rules taken in turns. The table at the end says what the ratio should be: at most
one half on each model; and ten times the layers should take ten times as long.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from tabulate import tabulate
from torch import nn

from netcheck.rules.base import StaticRule, registry
from netcheck.trace import trace
from netcheck.trace.graph import ModelGraph
from tests.benchmarks.test_trace import encoder
from tests.zoo import declare_torchvision_operators

ROUNDS = 7
MOST = 0.5  # of the trace
SECONDS: dict[str, tuple[float, float]] = {}


def vision(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    declare_torchvision_operators()
    from torchvision import models

    return models.get_model(name, weights=None), (torch.randn(2, 3, 224, 224),)


def llama() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The shape of Llama with 70 billion parameters, which have no values."""
    declare_torchvision_operators()
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=128256,
    )  # fmt: skip
    with torch.device("meta"):
        return LlamaForCausalLM(config), (torch.zeros(1, 16, dtype=torch.long),)


SUBJECTS: dict[str, Callable[[], tuple[nn.Module, tuple[torch.Tensor, ...]]]] = {
    "resnet50": lambda: vision("resnet50"),
    "vit_b_16": lambda: vision("vit_b_16"),
    "llama-70b": llama,
    "encoder-12": lambda: (encoder(12).train(), (torch.randn(2, 16, 256),)),
    "encoder-120": lambda: (encoder(120).train(), (torch.randn(2, 16, 256),)),
}
subject = cache(lambda name: SUBJECTS[name]())


def run_rules(graph: ModelGraph) -> int:
    """All findings of all static rules, counted."""
    return sum(1 for rule in registry() if isinstance(rule, StaticRule) for _ in rule.check(graph))


@pytest.mark.parametrize("name", SUBJECTS)
def test_beside_the_trace(benchmark: BenchmarkFixture, name: str) -> None:
    model, args = subject(name)
    traced: list[float] = []
    judged: list[float] = []

    def fresh() -> tuple[tuple[Any, ...], dict[str, Any]]:
        """A new graph each time: what rules learn of it, it keeps."""
        gc.collect()
        start = time.process_time()
        graph = trace(model, args, {})
        traced.append(time.process_time() - start)
        return (graph,), {}

    def judge(graph: ModelGraph) -> None:
        start = time.process_time()
        run_rules(graph)
        judged.append(time.process_time() - start)

    benchmark.pedantic(judge, setup=fresh, rounds=ROUNDS, warmup_rounds=1)
    SECONDS[name] = min(traced), min(judged)
    assert min(judged) < min(traced)  # with room for a busy machine


@pytest.fixture(scope="module", autouse=True)
def ratios(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    rows = [(name, t * 1e3, r * 1e3, r / t, MOST) for name, (t, r) in SECONDS.items()]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n" + tabulate(rows, ("model", "trace, ms", "rules, ms", "ratio", "at most"), floatfmt=".2f"))
        if {"encoder-12", "encoder-120"} <= SECONDS.keys():
            print(f"ten times the layers: {SECONDS['encoder-120'][1] / SECONDS['encoder-12'][1]:.1f} times")
