"""What tracing costs, beside torch.fx.symbolic_trace (which knows no shapes) and torch.export.

    pytest tests/benchmarks/test_trace.py --benchmark-only -s

The times of one group stand beside each other with their ratios in parentheses. The table at the end says what they should
be: a tenth of torch.export's, at most four times symbolic_trace's; twelve times the time for ten times the layers; 10 s
and 1.5 GB for a language model of 70 billion parameters, linted by every static rule.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from tabulate import tabulate
from torch import fx, nn

from netcheck.trace import trace
from tests.zoo import declare_torchvision_operators

ROOT = Path(__file__).parent.parent.parent
ROUNDS = {"netcheck": 5, "symbolic_trace": 5, "export": 1}
SECONDS: dict[tuple[str, str], float] = {}


class EncoderLayer(nn.Module):
    """Pre-norm attention and feed-forward (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)  # (N, T, C) each
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))  # (N, H, T, C / H)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


def encoder(layers: int) -> nn.Module:
    return nn.Sequential(*(EncoderLayer(256, 8) for _ in range(layers)), nn.LayerNorm(256), nn.Linear(256, 10)).eval()


@cache
def subject(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    if name.startswith("encoder"):
        return encoder(int(name.removeprefix("encoder-"))), (torch.randn(2, 16, 256),)
    declare_torchvision_operators()
    from torchvision import models

    return models.get_model(name, weights=None).eval(), (torch.randn(2, 3, 224, 224),)


TRACERS: dict[str, Callable[[nn.Module, tuple[torch.Tensor, ...]], Any]] = {
    "netcheck": lambda model, args: trace(model, args),
    "symbolic_trace": lambda model, args: fx.symbolic_trace(model),
    "export": lambda model, args: torch.export.export(model, args, strict=False),
}


def measure(benchmark: BenchmarkFixture, tracer: str, name: str) -> None:
    model, args = subject(name)
    gc.collect()
    benchmark.pedantic(TRACERS[tracer], (model, args), rounds=ROUNDS[tracer], warmup_rounds=1)
    if benchmark.stats is not None:
        SECONDS[name, tracer] = min(benchmark.stats.stats.min, SECONDS.get((name, tracer), 1e9))


@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "encoder-12"])
def test_beside_other_tracers(benchmark: BenchmarkFixture, name: str, tracer: str) -> None:
    benchmark.group = name
    measure(benchmark, tracer, name)


@pytest.mark.parametrize("name", ["encoder-12", "encoder-120"])
def test_growth(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark.group = "growth"
    measure(benchmark, "netcheck", name)


LLAMA = """
    import time, torch
    from pathlib import Path
    from tests.zoo import declare_torchvision_operators
    declare_torchvision_operators()  # transformers imports torchvision
    from transformers import LlamaConfig, LlamaForCausalLM
    from netcheck import engine
    import netcheck.trace.run
    config = LlamaConfig(hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
                         num_key_value_heads=8, vocab_size=128256)
    with torch.device("meta"):
        model = LlamaForCausalLM(config).eval()

    def peak():  # GiB; not getrusage, which counts what the parent held when it forked
        status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return int(status["VmHWM"].split()[0]) / 2**20

    before = peak()
    start = time.perf_counter()
    report = engine.check(model, {"input_ids": torch.randint(0, 1000, (2, 16))}, probe=False)
    seconds = time.perf_counter() - start
    assert not [f for f in report.findings if f.code.startswith("NC0")], report.findings
    assert report.summary.operations > 1000
    print(seconds, before, peak(), report.summary.operations)
"""


def test_a_language_model_of_70_billion_parameters(benchmark: BenchmarkFixture) -> None:
    benchmark.group = "70 billion parameters"
    answers: list[list[float]] = []

    def lint() -> None:
        command = [sys.executable, "-c", textwrap.dedent(LLAMA)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        answers.append([float(word) for word in done.stdout.split()])

    benchmark.pedantic(lint, rounds=1)
    seconds, before, peak, operations = answers[-1]
    benchmark.extra_info |= {
        "seconds": seconds,
        "peak GiB": peak,
        "before GiB": before,
        "operations": operations,
    }
    SECONDS["llama-70b", "netcheck"] = seconds
    SECONDS["llama-70b", "GiB"] = peak


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    yield
    rows = []
    for name in ("resnet50", "vit_b_16", "encoder-12"):
        ours, fx_, export = (SECONDS.get((name, tracer)) for tracer in TRACERS)
        if ours and fx_ and export:
            rows.append(
                [
                    name,
                    ours,
                    f"{ours / fx_:.1f}x symbolic_trace (at most 4)",
                    f"1/{export / ours:.0f} of export (1/10)",
                ]
            )
    if (short := SECONDS.get(("encoder-12", "netcheck"))) and (long := SECONDS.get(("encoder-120", "netcheck"))):
        rows.append(["encoder-120", long, f"{long / short:.1f}x encoder-12 (at most 12)"])
    if seconds := SECONDS.get(("llama-70b", "netcheck")):
        rows.append(["llama-70b, linted", seconds, "(at most 10 s)", f"{SECONDS['llama-70b', 'GiB']:.2f} GiB (1.5)"])
    if rows:
        print("\n" + tabulate(rows, ["model", "seconds", "", ""], floatfmt=".3f"))
