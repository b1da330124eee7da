"""How long it takes to see that a thousand files hold no model, beside ruff on the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = "import sys; from netcheck.source import targets; assert not targets.expand(sys.argv[1:]).targets"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A thousand files: nine hundred plain, a hundred that use torch and define classes, but no model."""
    folder = tmp_path_factory.mktemp("plain")
    body = "import os\n" + "".join(
        f'\n\nclass Reader{i}(dict):\n    def path(self, name):\n        return os.path.join("{i}", name)\n' for i in range(40)
    )
    for number in range(1000):
        head = "import torch\n" if number % 10 == 0 else ""
        (folder / f"module_{number}.py").write_text(head + body)
    return folder


def test_a_thousand_files_without_a_model(benchmark, files):
    """From the start of Python to its end: the demand is 1.5 s."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-c", CODE, str(files)], check=True, env=environment),
        rounds=5,
    )
    assert benchmark.stats is None or benchmark.stats.stats.median < 1.5


def test_the_same_files_by_ruff(benchmark, files):
    """What a linter of plain Python takes, without its cache."""
    ruff = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
    benchmark.pedantic(
        lambda: subprocess.run([ruff, "check", "--no-cache", "--quiet", "--isolated", str(files)], capture_output=True),
        rounds=5,
    )
