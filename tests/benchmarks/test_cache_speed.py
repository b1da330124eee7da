"""Twenty model files, checked for the first time and again unchanged: the second run should take below 0.5 s.

    pytest tests/benchmarks/test_cache_speed.py --benchmark-only

The command is a process of its own each time: Python's start and netcheck's imports are in the figures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROOT = Path(__file__).parents[2]
NET = """
import torch
from torch import nn

class Net{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, {number})

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for number in range(2, 22):
        (tmp_path / f"net{number}.py").write_text(NET.format(number=number))
    return tmp_path


def check(folder: Path, *options: str) -> int:
    command = [sys.executable, "-m", "netcheck", ".", "--isolated", "--cache-dir", "kept", "--no-probe", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False).returncode


@pytest.mark.benchmark(group="twenty model files")
def test_for_the_first_time(benchmark: BenchmarkFixture, files: Path) -> None:
    assert benchmark.pedantic(check, (files, "--no-cache"), rounds=2) == 0


@pytest.mark.benchmark(group="twenty model files")
def test_unchanged(benchmark: BenchmarkFixture, files: Path) -> None:
    check(files)
    assert benchmark.pedantic(check, (files,), rounds=10) == 0
    assert benchmark.stats is None or benchmark.stats.stats.min < 0.5
