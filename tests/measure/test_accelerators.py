"""With accelerators, real or put in for the test: what runs the shards, what it finds, what is said where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

import netcheck
from netcheck.figures.batches import Comparison
from netcheck.measure import accelerators as accelerator_module
from netcheck.measure import distributed
from netcheck.measure.accelerators import CPU, Accelerators, accelerators, count_accelerators
from netcheck.measure.axes import BatchAxes
from netcheck.measure.distributed import Ranks
from netcheck.measure.ranks import within_memory
from netcheck.measure.shards import compare
from tests.gpus import needs_gpus
from tests.measure.conftest import end_this_process
from tests.measure.fake_devices import OnCpu, put_in
from tests.trace.replay import module

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
ROOT = Path(__file__).parent.parent.parent


def linear(forward: Callable[[Any, torch.Tensor], Any]) -> nn.Module:
    return module(forward, layer=nn.Linear(6, 3))


def on_fakes(model: nn.Module, samples: int, devices: int) -> Comparison:
    torch.manual_seed(1)
    return compare(BatchAxes(model, (torch.randn(4, 6),), {}), samples, devices, ranks=Ranks())


NETS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    "mixing": lambda: linear(lambda self, x: self.layer(x - x.mean(0))),
    "a loss": lambda: linear(lambda self, x: self.layer(x).square().mean()),
    "statistics and outputs": lambda: linear(lambda self, x: (self.layer(x), self.layer(x).mean(0))),
    "a dictionary": lambda: linear(lambda self, x: {"y": self.layer(x), "x": x}),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(("samples", "devices"), [(8, 2), (7, 2), (14, 4), (6, 4)])
def test_both_engines_give_what_replicas_give(net: str, samples: int, devices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = NETS[net]()
    torch.manual_seed(1)
    replicas = compare(BatchAxes(model, (torch.randn(4, 6),), {}), samples, devices)
    put_in(monkeypatch, devices)
    found = on_fakes(model, samples, devices)
    working = -(-samples // -(-samples // devices))
    assert found.engine == f"gloo, {working} processes on cuda"
    assert found.outputs == pytest.approx(replicas.outputs, rel=1e-9, abs=1e-12)
    assert found.gradients == pytest.approx(replicas.gradients, rel=1e-9, abs=1e-12)
    run = found.data_parallel
    assert run is not None
    assert run.failure == ""
    assert run.engine == f"nn.DataParallel on {working} devices, cuda"
    assert run.outputs == pytest.approx(replicas.outputs, rel=1e-9, abs=1e-12)
    assert run.gradients == pytest.approx(replicas.gradients, rel=1e-9, abs=1e-12)
    assert found.equal_to(run) == found.equal == (net not in ("batch norm", "mixing"))


def test_the_report_names_both_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(monkeypatch, 2)
    report = netcheck.check(NETS["plain"](), torch.randn(8, 6), devices=2, select=["NC7"])
    assert report.findings == []
    assert "gloo, 2 processes on cuda: outputs and gradients equal (float64)" in str(report)
    assert "nn.DataParallel on 2 devices, cuda: outputs and gradients equal" in str(report)
    entry = report.to_dict()["batches"]["comparison"]["data_parallel"]
    assert entry["engine"] == "nn.DataParallel on 2 devices, cuda"


class Recurrent(nn.Module):
    """Its second output has the batch in dimension 1."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(6, 5, num_layers=2, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        return self.rnn(x)


def test_outputs_that_are_gathered_wrongly_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(8, 4, 6)
    assert netcheck.check(Recurrent(), x, devices=2, select=["NC7"]).findings == []
    put_in(monkeypatch, 2)
    report = netcheck.check(Recurrent(), x, devices=2, select=["NC7"])
    (finding,) = report.findings
    assert finding.code == "NC710"
    assert "the outputs of nn.DataParallel are not those of the whole batch" in finding.message
    assert "batch in dimension 0" in finding.help
    assert report.batches is not None
    assert report.batches.comparison is not None
    assert report.batches.comparison.equal


def test_outputs_that_cannot_be_gathered_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, x: torch.Tensor) -> Any:
        return {"y": self.layer(x), "n": 3}

    put_in(monkeypatch, 2)
    report = netcheck.check(linear(forward), torch.randn(8, 6), devices=2, select=["NC7"])
    (finding,) = report.findings
    assert finding.code == "NC710"
    assert "nn.DataParallel raised" in finding.message
    assert "nn.DataParallel on 2 devices, cuda: failed" in str(report)


def test_arguments_that_are_cut_wrongly_stay_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    model = module(lambda self, x, mask: self.layer(x * mask), layer=nn.Linear(10, 4))
    put_in(monkeypatch, 4)
    report = netcheck.check(model, (torch.randn(8, 10), torch.ones(1, 10)), devices=4, select=["NC7"])
    assert [found.code for found in report] == ["NC703"]


def test_a_device_that_dies_in_nn_data_parallel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if not dist.is_initialized() and os.getpid() != here:
            end_this_process(signal.SIGKILL)
        return self.layer(x)

    here = os.getpid()
    put_in(monkeypatch, 2)
    found = on_fakes(linear(forward), 8, 2)
    assert found.equal
    assert found.data_parallel is not None
    assert "was killed by signal 9" in found.data_parallel.failure


@pytest.mark.parametrize(
    ("count", "kind", "why"), [(1, "mps", "1 accelerator here, mps"), (2, "cuda", "2 accelerators here, cuda")]
)
def test_too_few_accelerators_are_told(count: int, kind: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(monkeypatch, count, kind)
    found = on_fakes(NETS["plain"](), 9, 3)
    assert found.engine == f"gloo, 3 processes on the CPU ({why})"
    assert found.equal
    assert found.data_parallel is None


def test_accelerators_that_this_process_uses_already_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(monkeypatch, 2)
    monkeypatch.setattr(distributed, "can_fork", lambda: False)
    found = on_fakes(NETS["plain"](), 8, 2)
    assert found.engine == (
        "replicas on the CPU (2 accelerators here, cuda, in use by this process, which cannot start others on them)"
    )
    assert found.equal


def test_looking_for_devices_starts_no_driver_before_the_ranks_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str | None] = []
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)

    def look() -> bool:
        looks.append(os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK"))
        return False

    def build() -> nn.Module:
        return NETS["plain"]().to("cuda" if torch.cuda.is_available() else "cpu")

    put_in(monkeypatch, 2)
    monkeypatch.setattr(torch.cuda, "is_available", look)
    report = netcheck.check(build, torch.randn(8, 6), devices=2)
    assert report.batches is not None
    assert report.batches.engine == "gloo, 2 processes on cuda"
    assert len(looks) > 2
    assert set(looks) == {"1"}
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ


def test_ranks_whose_parent_has_started_the_driver_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(monkeypatch, 2)
    monkeypatch.setattr(distributed, "accelerators", lambda: Accelerators("cuda", 2))
    monkeypatch.setattr(Accelerators, "backend", "gloo")
    monkeypatch.setattr(accelerator_module, "in_bad_fork", lambda: True)
    engine = on_fakes(NETS["plain"](), 8, 2).engine
    assert engine.startswith("gloo, 2 processes on the CPU (gloo did not start: this process has looked for accelerators")


class Broken(OnCpu):
    __slots__ = ()

    def use(self, index: int) -> torch.device:
        raise RuntimeError("CUDA driver version is insufficient\nfor the runtime")


class Deadly(OnCpu):
    __slots__ = ()

    def use(self, index: int) -> torch.device:
        end_this_process(signal.SIGKILL)
        raise AssertionError("killed")


@pytest.mark.parametrize(
    ("kind", "why"),
    [(Broken, "CUDA driver version is insufficient"), (Deadly, "rank 0 was killed by signal 9 (SIGKILL)")],
)
def test_devices_that_do_not_start_say_nothing_about_the_model(
    kind: type[Accelerators], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch, 2)
    monkeypatch.setattr(distributed, "accelerators", lambda: kind("cuda", 2))
    found = on_fakes(NETS["plain"](), 8, 2)
    assert found.engine == f"gloo, 2 processes on the CPU (gloo did not start: {why})"
    assert found.equal


def test_a_device_without_memory_says_nothing_about_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if dist.is_initialized():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.layer(x)

    put_in(monkeypatch, 2)
    found = on_fakes(linear(forward), 8, 2)
    assert found.engine == "replicas on the CPU (an accelerator has too little memory free)"
    assert found.failure == ""
    assert within_memory(lambda: 3) == 3


def test_the_processor_is_no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CPU.backend == "gloo"
    assert CPU.device(3) == CPU.use(3) == torch.device("cpu")
    assert Accelerators("cuda", 2).device(1) == torch.device("cuda", 1)
    assert Accelerators("mps", 1).backend in ("gloo", "")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    assert accelerators() == Accelerators("mps", 1)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 0)
    assert accelerators() is None
    assert count_accelerators() == 0

    def no_driver() -> int:
        raise RuntimeError("no driver")

    monkeypatch.setattr(torch.accelerator, "device_count", no_driver)
    assert accelerators() is None


def on_command_line(tmp_path: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> str:
    """What netcheck prints for a model of two layers, in a process that has not started CUDA."""
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\nmodel = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))\n")
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "netcheck", str(file), "--input", "8x6", "--isolated", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_gpus(1)
def test_fewer_gpus_than_devices_are_told(tmp_path: Path) -> None:
    count = torch.cuda.device_count()
    said = on_command_line(tmp_path, "--devices", str(count + 1), "--batch-size", str(4 * (count + 1)))
    assert f"gloo, {count + 1} processes on the CPU ({count} accelerator" in said
    assert "outputs and gradients equal (float64)" in said


@needs_gpus(2)
def test_two_gpus_run_both_engines(tmp_path: Path) -> None:
    said = on_command_line(tmp_path, "--devices", "2")
    assert "nccl, 2 processes on cuda: outputs and gradients equal (float64)" in said
    assert "nn.DataParallel on 2 devices, cuda: outputs and gradients equal" in said


@needs_gpus(2)
def test_torchrun_uses_two_gpus(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    said = on_command_line(tmp_path, launcher=launcher)
    assert "nccl, 2 processes of torchrun on cuda: outputs and gradients equal (float64)" in said
