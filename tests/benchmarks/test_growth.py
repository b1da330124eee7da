"""How the cost of a check grows with the model, and that of discovery with the number of classes.

    OMP_NUM_THREADS=1 pytest tests/benchmarks/test_growth.py --benchmark-only -rA

From 1,000 to 16,000 operations, and from 100 to 5,000 classes, CPU time should grow with an exponent of at most 1.1: with
t ~ n^k, k is the slope of log t over log n. The sizes are timed in turn in one process, the best of each is kept, so that
other work on the machine disturbs all alike; what is there before is frozen, as in a worker before it forks.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from netcheck.engine.judging import judge
from netcheck.engine.measuring import probed
from netcheck.load.inputs import given
from netcheck.report.columns import in_columns
from netcheck.settings import Settings
from netcheck.source import targets
from netcheck.trace.run import trace

OPERATIONS = 1000, 4000, 16000
CLASSES = 100, 700, 5000
ROUNDS = 2  # as many for each size: the best of more would flatter one
STEEPEST = 1.1
EXPONENTS: list[tuple[str, str, str, str]] = []


class Deep(nn.Module):
    """x + relu(norm(layer(x))), again and again: four operations a block."""

    def __init__(self, operations: int) -> None:
        super().__init__()
        blocks = range(operations // 4)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in blocks)
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in blocks)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + torch.relu(norm(layer(x)))
        return self.head(x)


class Wide(nn.Module):
    """Branches of three operations that each take the sums of two values of others, some of them far away."""

    def __init__(self, operations: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(operations // 3))
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lanes = [x] * 64
        for i, layer in enumerate(self.layers):
            lanes[i % 64] = torch.relu(layer(lanes[7 * i % 64] + lanes[(11 * i + 3) % 64]))
        return self.head(torch.stack(lanes).mean(0))


class Unrolled(nn.Module):
    """A recurrent net without nn.RNN: one cell, five operations a step, and all states in the result.

    The steps come from one `unbind`: the gradient of each `x[:, step]` is as large as x, so that torch's own backward would
    take the square of their number.
    """

    def __init__(self, operations: int) -> None:
        super().__init__()
        self.read, self.carry, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, states = x.new_zeros(len(x), 8), []
        for step in x.unbind(1):
            state = torch.tanh(self.read(step) + self.carry(state))
            states.append(state)
        return self.head(torch.stack(states, 1))


MODELS: dict[str, tuple[Callable[[int], nn.Module], Callable[[int], torch.Tensor]]] = {
    "deep, with norms and skips": (Deep, lambda n: torch.randn(4, 8)),
    "wide graph": (Wide, lambda n: torch.randn(4, 8)),
    "unrolled recurrent net": (Unrolled, lambda n: torch.randn(4, n // 5, 8)),
}


def seconds(run: Callable[[], Any]) -> float:
    """CPU time of this process for one run."""
    gc.collect()
    gc.freeze()
    try:
        start = time.process_time()
        run()
        return time.process_time() - start
    finally:
        gc.unfreeze()


def one_check(name: str, size: int) -> dict[str, float]:
    """CPU seconds of each stage for a model of so many operations."""
    torch.manual_seed(0)
    make, draw = MODELS[name]
    model, x, settings, held = make(size), draw(size), Settings(), []
    example = given((x,), model)
    found = {"trace": seconds(lambda: held.append(trace(model, (x,))))}
    (graph,) = held
    assert len(graph) >= size
    found["rules"] = seconds(lambda: (graph.summary(), list(judge(graph, settings))))
    found["probe"] = seconds(lambda: held.append(probed(graph, example, settings)[0]))
    assert held[-1] is not None
    return found


def exponent(best: dict[int, float]) -> float:
    """The slope of log t over log n, by least squares."""
    points = [(math.log(n), math.log(t)) for n, t in best.items()]
    middle_n, middle_t = (sum(column) / len(points) for column in zip(*points, strict=True))
    return sum((n - middle_n) * (t - middle_t) for n, t in points) / sum((n - middle_n) ** 2 for n, _ in points)


def note(subject: str, stage: str, best: dict[int, float]) -> float:
    """Write a row of the table at the end; the exponent."""
    slope = exponent(best)
    times = ", ".join(f"{size:,}: {t:.3g} s" for size, t in best.items())
    EXPONENTS.append((subject, stage, times, f"{slope:.2f} (at most {STEEPEST})"))
    return slope


@pytest.mark.parametrize("name", MODELS)
def test_with_operations(benchmark: BenchmarkFixture, name: str) -> None:
    best: dict[str, dict[int, float]] = {}

    def all_sizes() -> None:
        one_check(name, 100)  # what is only done once
        for size in OPERATIONS * ROUNDS:
            for stage, t in one_check(name, size).items():
                times = best.setdefault(stage, {})
                times[size] = min(t, times.get(size, math.inf))

    benchmark.pedantic(all_sizes, rounds=1)
    slopes = {stage: note(name, stage, times) for stage, times in best.items()}
    benchmark.extra_info.update(slopes)
    assert max(slopes.values()) <= STEEPEST, slopes


HEAD = "import torch\nfrom torch import nn\n"


def net(name: str, body: str = "nn.Linear(width, width)") -> str:
    return (
        f"\n\nclass {name}(nn.Module):\n    def __init__(self, width=8):\n        super().__init__()\n"
        f"        self.inner = {body}\n\n"
        "    def forward(self, x):\n        return torch.relu(self.inner(x))\n"
    )


def in_one_file(folder: Path, count: int) -> None:
    (folder / "nets.py").write_text(HEAD + "".join(net(f"Net{i}") for i in range(count)))


def in_each_other(folder: Path, count: int) -> None:
    parts = "".join(net(f"Net{i}", f"Net{i - 1}()") for i in range(1, count))
    (folder / "nets.py").write_text(HEAD + net("Net0") + parts)


def in_many_files(folder: Path, count: int) -> None:
    for file in range(count // 10):
        before = f"from nets{file - 1} import Net{10 * file - 1}\n" if file else ""
        (folder / f"nets{file}.py").write_text(HEAD + before + "".join(net(f"Net{10 * file + i}") for i in range(10)))


def functions_and_variables(folder: Path, count: int) -> None:
    made = "".join(
        f"\n\ndef make{i}():\n    return Net()\n\n\nnet{i} = nn.Sequential(Net(), nn.ReLU())\n" for i in range(count // 2)
    )
    (folder / "nets.py").write_text(HEAD + net("Net") + made)


@pytest.mark.parametrize("write", [in_one_file, in_each_other, in_many_files, functions_and_variables])
def test_discovery_with_classes(benchmark: BenchmarkFixture, tmp_path: Path, write: Callable[[Path, int], None]) -> None:
    best: dict[int, float] = {}

    def all_sizes() -> None:
        for number, size in enumerate(CLASSES * ROUNDS):
            folder = tmp_path / str(number)
            folder.mkdir()
            write(folder, size)
            best[size] = min(seconds(lambda at=str(folder): targets.expand([at])), best.get(size, math.inf))

    benchmark.pedantic(all_sizes, rounds=1)
    name = write.__name__.replace("_", " ")
    benchmark.extra_info["exponent"] = slope = note("discovery", name, best)
    assert slope <= STEEPEST


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    yield
    if EXPONENTS:
        print("\n" + in_columns(EXPONENTS, ("subject", "", "CPU time", "exponent")))
