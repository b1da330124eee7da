"""What the proof of a safe fix takes beside a check of the model: one more, and a comparison of both models. In one run.

pytest tests/benchmarks/test_fixes.py --benchmark-only -s
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

pytest.importorskip("libcst")

from netcheck import worker
from netcheck.fix import offering
from netcheck.settings import Settings
from netcheck.source.targets import Target
from tests.fix.mending import PRELUDE

NET = """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))

class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, width, 3, padding=1), nn.Linear(width, 10)
        self.blocks = nn.ModuleList(Block(width) for _ in range(8))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))
"""
ROUNDS = 3


@pytest.fixture
def keeper() -> Iterator[worker.Keeper]:
    made = worker.Keeper(Settings())
    yield made
    made.stop()


@pytest.mark.parametrize("probe", [True, False])
@pytest.mark.benchmark(group="a fix")
def test_a_proof_costs_one_more_check(benchmark: BenchmarkFixture, keeper: worker.Keeper, tmp_path: Path, probe: bool) -> None:
    file = tmp_path / "net.py"
    file.write_text(PRELUDE + NET)
    target = Target(str(file), "Net")
    keeper.settings = Settings(targets=(str(file),), inputs=("8x3x32x32",), probe=probe, cache=False)
    keeper.check(target)  # what is imported once
    checks, proofs = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        reports = [keeper.check(target)]
        checks.append(time.perf_counter() - start)
        calls = 0

        def check(some: object) -> list[object]:
            nonlocal calls
            calls += len(some)  # type: ignore[arg-type]
            return [keeper.check(one) for one in some]  # type: ignore[attr-defined]

        start = time.perf_counter()
        offer = offering.offered(reports, [target], [str(file)], keeper.settings, check)  # type: ignore[arg-type]
        proofs.append(time.perf_counter() - start)
        assert offer.texts
        assert calls == 1
    benchmark.pedantic(lambda: None)
    ratio = median(proofs) / median(checks)
    print(f"a check {median(checks):.2f} s, a proof {median(proofs):.2f} s: {ratio:.2f} checks (probe: {probe})")
