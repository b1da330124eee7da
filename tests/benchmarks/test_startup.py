"""What netcheck costs before it does anything, beside what click alone costs.

    pytest tests/benchmarks/test_startup.py --benchmark-only

The ratios stand in parentheses after the times: `netcheck --version` should stay below three times click.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

ROOT = Path(__file__).parent.parent.parent

COMMANDS = {
    "python -c 'import click'": ["-c", "import click"],
    "python -c 'import netcheck'": ["-c", "import netcheck"],
    "netcheck --version": ["-m", "netcheck", "--version"],
    "netcheck --help": ["-m", "netcheck", "--help"],
    "netcheck rules": ["-m", "netcheck", "rules"],
}


@pytest.mark.benchmark(group="start")
@pytest.mark.parametrize("name", COMMANDS)
def test_start(benchmark: BenchmarkFixture, name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start() -> int:
        command = [sys.executable, *COMMANDS[name]]
        return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True).returncode

    assert benchmark.pedantic(start, rounds=15, warmup_rounds=2) == 0
