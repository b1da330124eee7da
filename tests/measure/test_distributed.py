"""The shards under DistributedDataParallel over gloo: the numbers of the simulation, and an end whatever a rank does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

import netcheck
from netcheck.figures.batches import Comparison
from netcheck.launch import Launch, launched
from netcheck.measure import distributed
from netcheck.measure.axes import BatchAxes
from netcheck.measure.distributed import Ranks
from netcheck.measure.ranks import run_ranks
from netcheck.measure.shards import compare
from tests.measure.conftest import PATIENCE, end_this_process
from tests.trace.replay import module

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
ROOT = Path(__file__).parent.parent.parent

NETS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    "mixing": lambda: module(lambda self, x: self.layer(x - x.mean(0)), layer=nn.Linear(6, 3)),
    "a loss": lambda: module(lambda self, x: self.layer(x).square().mean(), layer=nn.Linear(6, 3)),
}


def axes_of(model: nn.Module) -> BatchAxes:
    torch.manual_seed(1)
    return BatchAxes(model, (torch.randn(4, 6),), {})


def children() -> set[int]:
    """The living processes whose parent this one is."""
    mine = f"PPid:\t{os.getpid()}\n"
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mine in (folder / "status").read_text():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(("samples", "devices"), [(8, 2), (7, 2), (16, 4), (14, 4)])
def test_gloo_gives_what_replicas_give(net: str, samples: int, devices: int) -> None:
    torch.manual_seed(0)
    axes = axes_of(NETS[net]())
    replicas = compare(axes, samples, devices)
    ranks = compare(axes, samples, devices, ranks=Ranks())
    assert ranks.engine == f"gloo, {devices} processes on the CPU"
    assert replicas.engine == "replicas on the CPU"
    assert ranks.outputs == pytest.approx(replicas.outputs, rel=1e-9, abs=1e-12)
    assert ranks.gradients == pytest.approx(replicas.gradients, rel=1e-9, abs=1e-12)
    assert ranks.mean_of_means == pytest.approx(replicas.mean_of_means, rel=1e-9, abs=1e-12)
    assert ranks.equal == replicas.equal == (net in ("plain", "a loss"))


def test_unused_parameters_stall_the_second_step() -> None:
    model = module(lambda self, x: self.layer(x), layer=nn.Linear(6, 3), other=nn.Linear(6, 3))
    found = compare(axes_of(model), 8, 2, ranks=Ranks())
    assert "Expected to have finished reduction" in found.stalled
    assert found.unused == ("other.weight", "other.bias")
    assert found.equal
    report = netcheck.check(model, torch.randn(8, 6), devices=2, select=["NC7"])
    (finding,) = report.findings
    assert finding.code == "NC709"
    assert "its second step raised" in finding.evidence.text


def only_on(rank: int, act: Callable[[], Any]) -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if dist.is_initialized() and dist.get_rank() == rank:
            act()
        return self.layer(x)

    return module(forward, layer=nn.Linear(6, 3))


def failed(model: nn.Module, devices: int = 2) -> Comparison:
    before = children()
    found = compare(axes_of(model), 8, devices, ranks=Ranks())
    assert children() == before
    assert not found.equal
    return found


@pytest.mark.parametrize("devices", [2, 4])
def test_a_rank_that_is_killed_is_a_finding(devices: int) -> None:
    model = only_on(1, lambda: end_this_process(signal.SIGKILL))
    assert failed(model, devices).failure == f"rank 1 of {devices} was killed by signal 9 (SIGKILL)"
    report = netcheck.check(model, torch.randn(8, 6), devices=devices, select=["NC7"])
    (finding,) = report.findings
    assert finding.code == "NC710"
    assert finding.severity == "error"
    assert f"rank 1 of {devices} was killed" in finding.message


def test_a_rank_that_raises_is_named() -> None:
    def fail() -> None:
        raise ArithmeticError("not here")

    assert failed(only_on(1, fail)).failure == "rank 1 of 2 raised ArithmeticError: not here"


def test_a_parameter_that_one_rank_does_not_use_is_explained() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return y if dist.is_initialized() and dist.get_rank() == 1 else y + self.other(x)

    model = module(forward, layer=nn.Linear(6, 3), other=nn.Linear(6, 3))
    report = netcheck.check(model, torch.randn(8, 6), devices=2, select=["NC7"], probe=True)
    (finding,) = report.findings
    assert finding.code == "NC710"
    assert finding.message.endswith("in the prior iteration before starting a new one")
    assert "find_unused_parameters=True" in finding.help


def test_a_rank_that_exits_is_named() -> None:
    assert failed(only_on(1, lambda: os._exit(3))).failure == "rank 1 of 2 ended with exit code 3"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("SECONDS", r"rank [01] of 2 did not end in \d+ s: it waited for the others, or is slow"),
        ("WAIT_SECONDS", r"rank 1 of 2 did not end in .*|gloo did not start: .*"),  # rank 0 waited, and tells less
    ],
)
def test_ranks_that_are_out_of_time_are_ended_and_say_nothing_about_the_model(
    limit: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, limit, 4.0)
    before = children()
    model = only_on(1, lambda: time.sleep(10 * PATIENCE))
    found = compare(axes_of(model), 8, 2, ranks=Ranks())
    assert children() == before
    assert found.equal
    assert re.fullmatch(rf"replicas on the CPU \(({said})\)", found.engine)
    report = netcheck.check(model, torch.randn(8, 6), devices=2, select=["NC7"])
    assert report.findings == []
    assert "did not end in" in str(report) or "did not start" in str(report)


def test_what_a_rank_prints_is_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    compare(axes_of(only_on(1, lambda: print("hello", flush=True))), 8, 2, ranks=Ranks())
    assert "hello" not in capfd.readouterr().out


def test_ranks_run_apart_and_return_values() -> None:
    outcomes = run_ranks(lambda rank: (rank, os.getpid()), 3, seconds=PATIENCE)
    assert [outcome.value[0] for outcome in outcomes] == [0, 1, 2]
    assert len({outcome.value[1] for outcome in outcomes} | {os.getpid()}) == 4


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, Launch(0, 2, "h", 1)),
        ({"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, None),
        ({"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, None),
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, None),
    ],
)
def test_a_launcher_is_known_by_its_environment(environment: dict[str, str], expected: Launch | None) -> None:
    assert launched(environment) == expected


def torchrun(*arguments: str, ranks: int = 2) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "-m", "netcheck", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_under_torchrun_one_report_is_printed() -> None:
    done = torchrun("examples/lecture/data_parallel.py", "--exit-zero", "--timeout", str(2 * PATIENCE))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Checked 2 models") == 1
    assert done.stdout.count("gloo, 2 processes of torchrun on the CPU") == 2
    assert done.stdout.count("device 1  forward (8, 5)") == 2
