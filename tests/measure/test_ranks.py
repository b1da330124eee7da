"""What processes of netcheck's own cannot do is no fault of the model: no finding, the replicas' figures, and the reason."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

import netcheck
from netcheck.engine.measuring import patience
from netcheck.findings import Report
from netcheck.load.fence import Refused
from netcheck.measure import distributed, ranks
from netcheck.measure.meeting import Meeting
from netcheck.measure.ranks import NotJudged, Outcome, conclusive, run_ranks
from netcheck.settings import Settings
from netcheck.trace import trace
from tests.measure.conftest import PATIENCE, end_this_process
from tests.trace.replay import module

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
ROOT = Path(__file__).parent.parent.parent


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def in_ranks(act: Callable[[], Any]) -> nn.Module:
    """A model that does something in the processes of a group, on rank 1 of them."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if dist.is_initialized() and dist.get_rank() == 1:
            act()
        return self.layer(x)

    return module(forward, layer=nn.Linear(6, 3))


def checked(model: nn.Module) -> Report:
    return netcheck.check(model, torch.randn(8, 6), devices=2, select=["NC7"])


def engine_of(report: Report) -> str:
    """What ran the shards of a report that says nothing against the model."""
    assert report.findings == []
    assert report.batches is not None
    assert report.batches.equal
    return report.batches.engine


def raises(error: BaseException) -> Callable[[], Any]:
    def act() -> None:
        raise error

    return act


def test_processes_in_which_autograd_cannot_run_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(*arguments: Any, **options: Any) -> Any:
        if os.getpid() != here:
            raise RuntimeError("Unable to handle autograd's threading in combination with fork-based multiprocessing.")
        return grad(*arguments, **options)

    trace(net(), (torch.randn(8, 6),))  # what is done once, and imported
    here, grad = os.getpid(), torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", poisoned)
    assert engine_of(checked(net())) == (
        "replicas on the CPU (gloo did not start: this process has run backward beside an accelerator, and none that is "
        "forked from it can run it since)"
    )


def test_no_backward_runs_before_processes_are_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    trace(net(), (torch.randn(8, 6),))  # what is done once, and imported
    happened: list[str] = []
    grad, fork = torch.autograd.grad, os.fork
    monkeypatch.setattr(torch.autograd, "grad", lambda *given, **options: happened.append("grad") or grad(*given, **options))
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda *given, **o: happened.append("backward") or backward(*given, **o))
    monkeypatch.setattr(os, "fork", lambda: happened.append("fork") or fork())
    report = netcheck.check(net(), torch.randn(8, 6), devices=2)
    assert happened[:2] == ["fork", "fork"]
    assert "grad" in happened
    assert engine_of(report) == "gloo, 2 processes on the CPU"


BESIDE_AN_ACCELERATOR = """
import torch
from torch import nn
import netcheck
torch._C._ensureCUDADeviceGuardSet()        # one device, so that the first backward starts a thread for it
for module in ("netcheck.trace.fakes", "netcheck.load.inference.engines"):
    __import__(module, fromlist=["_"]).keep_forks_able_to_differentiate = lambda: None
net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
for _ in range(2):
    report = netcheck.check(net, torch.randn(8, 6), devices=2)
    print([found.code for found in report if found.code.startswith("NC7")], report.batches.engine)
"""


@pytest.mark.skipif(
    not torch.backends.cuda.is_built() or not hasattr(torch._C, "_ensureCUDADeviceGuardSet"),
    reason="needs a torch for CUDA that lets one device be feigned",
)
def test_beside_an_accelerator_processes_are_forked_once_and_then_not_judged() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", BESIDE_AN_ACCELERATOR]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "[] gloo, 2 processes on the CPU"
    assert second.startswith("[] replicas on the CPU (gloo did not start: this process has run backward beside an accelerator")


FAKES_FIRST = """
import torch
from torch import nn
import netcheck
net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
report = netcheck.check(net, torch.randn(8, 6))
print(report.cost is not None, report.gradients is not None)
report = netcheck.check(net, torch.randn(8, 6), devices=2)
print([found.code for found in report if found.code.startswith("NC7")], report.batches.engine)
"""


def test_fake_tensors_before_the_first_backward_do_not_keep_processes_from_running_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", FAKES_FIRST]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout.splitlines() == ["True True", "[] gloo, 2 processes on the CPU"], done.stderr


def test_a_machine_without_room_for_processes_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", raises(OSError(errno.EAGAIN, "Resource temporarily unavailable")))
    said = "replicas on the CPU (processes cannot be started: [Errno 11] Resource temporarily unavailable)"
    assert engine_of(checked(net())) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), "too little memory"),
        (MemoryError(), "too little memory is free"),
        (torch.OutOfMemoryError("CUDA out of memory"), "an accelerator has too little memory free"),
        (OSError(errno.ENOSPC, "No space left on device"), "rank 1 of 2 raised OSError"),
        (Refused("sending a signal"), "rank 1 of 2 raised Refused"),
        (RuntimeError("can't start new thread"), "rank 1 of 2 raised RuntimeError: can't start new thread"),
        (RuntimeError("Timed out waiting 20000ms for recv operation to complete"), "rank 0 of 2 raised RuntimeError"),
    ],
)
def test_a_rank_that_is_short_of_something_is_not_judged(error: BaseException, said: str) -> None:
    assert engine_of(checked(in_ranks(raises(error)))).startswith(f"replicas on the CPU ({said}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_rank_that_is_ended_from_outside_is_not_judged(number: signal.Signals) -> None:
    said = f"replicas on the CPU (rank 1 of 2 was killed by signal {number.value} ({number.name}))"
    assert engine_of(checked(in_ranks(lambda: end_this_process(number)))) == said


def test_a_rank_that_the_system_ends_for_want_of_memory_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter(range(100))
    monkeypatch.setattr(ranks, "kills_for_memory", lambda: next(counts))
    said = "replicas on the CPU (rank 1 of 2 was ended by the system for want of memory)"
    assert engine_of(checked(in_ranks(lambda: end_this_process(signal.SIGKILL)))) == said


def test_a_rank_that_crashes_is_a_finding() -> None:
    (finding,) = checked(in_ranks(lambda: end_this_process(signal.SIGSEGV))).findings
    assert finding.code == "NC710"
    assert "rank 1 of 2 was killed by signal 11 (SIGSEGV)" in finding.message


def test_what_cannot_be_sent_is_not_judged() -> None:
    found = conclusive(run_ranks(lambda rank: lambda: rank, 2, seconds=PATIENCE))
    assert isinstance(found, NotJudged)
    assert found.reason.startswith("what a rank gave cannot be sent: ")


def test_a_failure_of_the_model_counts_for_more_than_those_it_causes() -> None:
    lost = Outcome(failure="raised RuntimeError: Connection closed by peer", inconclusive=True)
    late = Outcome(failure="did not end in 9 s: it waited for the others, or is slow", inconclusive=True)
    raised = Outcome(failure="raised ValueError: no")
    assert conclusive([lost, late, raised]) == [lost, late, raised]
    assert conclusive([lost, late]) == NotJudged(f"rank 1 of 2 {late.failure}")
    assert conclusive([Outcome(1), Outcome(2)]) == [Outcome(1), Outcome(2)]


def test_a_longer_time_limit_gives_ranks_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def run(step: Any, count: int, *, seconds: float) -> list[Outcome]:
        given.append(seconds)
        return [Outcome(NotJudged("for the test"))] * count

    monkeypatch.setattr(distributed, "run_ranks", run)
    checked(net())
    usual = given.pop()
    assert usual == PATIENCE
    assert patience(Settings(timeout=5 * Settings().timeout)) == 5.0
    assert patience(Settings(timeout=3.0)) == 1.0


def test_devices_wait_for_one_that_computes_and_not_for_one_that_has_ended() -> None:
    class Layer(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean(0)

    layer, slow = Layer(), threading.Event()

    def run(device: int) -> torch.Tensor:
        if device == 1:
            slow.wait(0.2)
        return layer(torch.full((2,), float(device)))

    with Meeting(2).at([layer]) as meeting:
        assert [part.tolist() for part in meeting.each(run)] == [[-0.5, -0.5], [0.5, 0.5]]
    with Meeting(2).at([layer]) as meeting, pytest.raises(RuntimeError, match="did not meet"):
        meeting.each(lambda device: run(device) if device == 0 else None)
