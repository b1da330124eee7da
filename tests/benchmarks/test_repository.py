"""A repository of 1,000 files and 50 models that need arguments: at most 20 times the CPU time of one `import torch`.

    pytest tests/benchmarks/test_repository.py --benchmark-only -s

CPU time of all processes together, so that a busy machine tells the same. A third of the models has its arguments from a call in
another file, a third from options, a third from nobody; each is in a file of its own among nineteen that hold no model.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROOT = Path(__file__).parents[2]
MODELS, FILES, MOST = 50, 1000, 20.0
NET = """
import torch
from torch import nn
from pack.helpers{number} import help_0

class Net{number}(nn.Module):
    def __init__(self, features, hidden, classes=3, dropout=0.0):
        super().__init__()
        self.look, self.hidden = nn.Conv2d(features, hidden, 3, padding=1), nn.Linear(hidden, hidden)
        self.norm, self.drop, self.out = nn.BatchNorm2d(hidden), nn.Dropout(dropout), nn.Linear(hidden, classes)

    def forward(self, x):
        x = torch.relu(self.norm(self.look(x))).mean((2, 3))
        return self.out(self.drop(torch.relu(self.hidden(x)) + x))
"""
CALLED = """
from pack.net{number} import Net{number}

def main():
    sizes = {{"hidden": 8 * 2, "classes": 5}}
    return Net{number}(3, **sizes)
"""
OPTIONS = """
import argparse
from pack.net{number} import Net{number}

parser = argparse.ArgumentParser()
parser.add_argument("--hidden", type=int, default=24)
args = parser.parse_args()

if __name__ == "__main__":
    net = Net{number}(3, args.hidden)
"""
HELPERS = """
import math
import os

def help_{number}(path, items):
    for item in items:
        if item.size > {number} and math.isfinite(item.size):
            yield os.path.join(path, item.name)

class Record{number}:
    def __init__(self, name, size):
        self.name, self.size = name, size
"""


def write(folder: Path) -> None:
    """The files of the repository."""
    pack = folder / "pack"
    pack.mkdir()
    (pack / "__init__.py").write_text("")
    for number in range(MODELS):
        (pack / f"net{number}.py").write_text(NET.format(number=number))
        (pack / f"helpers{number}.py").write_text(HELPERS.format(number=0))
        if number % 3 < 2:
            (folder / f"train{number}.py").write_text((CALLED, OPTIONS)[number % 3].format(number=number))
    for number in range(FILES - sum(1 for _ in folder.rglob("*.py"))):
        (pack / f"other{number}.py").write_text(HELPERS.format(number=number))


def seconds(command: list[str], folder: Path, says: str = "") -> float:
    """CPU time of a command, and of all that it starts, which says something."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=False, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout[-2000:]
    assert says in done.stdout
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.benchmark(group="a repository")
def test_beside_one_import_of_torch(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    write(tmp_path)
    assert sum(1 for _ in tmp_path.rglob("*.py")) == FILES
    imported = min(seconds([sys.executable, "-c", "import torch"], tmp_path) for _ in range(3))
    command = [sys.executable, "-m", "netcheck", ".", "--isolated", "--no-probe", "--no-cache", "--jobs", "1"]
    spent = benchmark.pedantic(seconds, (command, tmp_path, f"Checked {MODELS} models"), rounds=1)
    benchmark.extra_info["ratio"] = spent / imported
    print(f"\n{spent:.1f} s of CPU time, {spent / imported:.1f} times one import of torch ({imported:.2f} s)")
    assert spent <= MOST * imported
