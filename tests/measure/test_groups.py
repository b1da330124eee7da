"""Under a process group that is there already, and under torchrun: the ranks work together, or say why not, and never hang."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

import netcheck
from netcheck.launch import Launch
from netcheck.measure import groups, ranks
from netcheck.measure.axes import BatchAxes
from netcheck.measure.distributed import Ranks, prepare_backends
from netcheck.measure.ranks import Outcome, run_ranks
from netcheck.measure.shards import compare
from tests.measure.conftest import PATIENCE, end_this_process, until
from tests.trace.replay import module

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def in_a_group(ranks: int, act: Callable[[int], Any]) -> list[Outcome]:
    """What `act(rank)` gives in each process of a group, after which the group must still work."""
    with tempfile.TemporaryDirectory() as folder:

        def step(rank: int) -> Any:
            prepare_backends()
            store = dist.FileStore(f"{folder}/store", ranks)
            timeout = timedelta(seconds=PATIENCE)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks, timeout=timeout)
            given = act(rank)
            total = torch.ones(1)
            dist.all_reduce(total)
            assert total.item() == ranks
            return given

        return run_ranks(step, ranks, seconds=PATIENCE)


def checked(rank: int, **options: Any) -> tuple[str, bool | None, list[str]]:
    torch.manual_seed(1)
    report = netcheck.check(plain(), torch.randn(8, 6), select=["NC7"], probe=True, **options)
    assert report.batches is not None
    return report.batches.engine, report.batches.equal, [found.code for found in report]


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_group_that_is_there_is_used(ranks: int) -> None:
    outcomes = in_a_group(ranks, checked)
    expected = (f"gloo, {ranks} ranks of the process group on the CPU", True, [])
    assert [outcome.value for outcome in outcomes] == [expected] * ranks


def test_a_group_can_be_used_again() -> None:
    outcomes = in_a_group(2, lambda rank: [checked(rank)[:2] for _ in range(2)])
    expected = [("gloo, 2 ranks of the process group on the CPU", True)] * 2
    assert [outcome.value for outcome in outcomes] == [expected] * 2


def test_a_group_of_another_size_is_left_alone() -> None:
    outcomes = in_a_group(2, lambda rank: checked(rank, devices=4))
    engines = {outcome.value[0] for outcome in outcomes}
    assert engines == {"replicas on the CPU (the process group has 2 ranks for 4 shares)"}


def test_a_rank_that_checks_alone_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MEETING_SECONDS", 1.0)
    first, second = in_a_group(2, lambda rank: checked(rank) if rank == 0 else None)
    assert second.failure == ""
    engine, equal, codes = first.value
    assert engine == ("replicas on the CPU (the other ranks of the process group do not check the model with this one)")
    assert equal
    assert codes == []


def failing(rank: int, act: Callable[[], Any]) -> nn.Module:
    """A model whose forward does something on one rank, under DistributedDataParallel only."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if dist.get_rank() == rank and len(x) == 4:
            act()
        return self.layer(x)

    return module(forward, layer=nn.Linear(6, 3))


def fail() -> None:
    raise ArithmeticError("not here")


def test_a_rank_that_raises_is_named_on_all_ranks() -> None:
    def act(rank: int) -> str:
        calls = iter(range(100))

        def third() -> None:  # the shards on replicas first
            if next(calls) >= 2:
                fail()

        torch.manual_seed(1)
        axes = BatchAxes(failing(1, third), (torch.randn(4, 6),), {})
        return compare(axes, 8, 2, ranks=Ranks()).failure

    outcomes = in_a_group(2, act)
    assert [outcome.value for outcome in outcomes] == ["rank 1 of 2 raised ArithmeticError: not here"] * 2


def launched_as(rank: int, port: int) -> Launch:
    return Launch(rank, 2, "127.0.0.1", port, rank)


@pytest.fixture
def store() -> dist.TCPStore:
    """A launcher's."""
    return dist.TCPStore("127.0.0.1", 0, None, is_master=True, wait_for_workers=False)


def under_launcher(store: dist.TCPStore, model: nn.Module, absent: int | None = None) -> list[Outcome]:
    """How a comparison comes out on both ranks that a launcher started."""

    def step(rank: int) -> Any:
        if rank == absent:
            return None
        prepare_backends()
        torch.manual_seed(1)
        axes = BatchAxes(model, (torch.randn(4, 6),), {})
        found = compare(axes, 8, 2, ranks=Ranks(launched_as(rank, store.port), "net"))
        return found.engine, found.equal, found.failure

    return run_ranks(step, 2, seconds=PATIENCE)


def test_the_processes_of_a_launcher_work_together(store: dist.TCPStore) -> None:
    for outcome in under_launcher(store, plain()):
        assert outcome.value == ("gloo, 2 processes of torchrun on the CPU", True, "")


def test_synchronized_batch_norm_is_not_run_where_it_cannot(store: dist.TCPStore) -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)))
    said = "replicas on the CPU (synchronized batch normalization wants an accelerator for each rank)"
    for outcome in under_launcher(store, model):
        assert outcome.value == (said, True, "")


def test_a_process_that_does_not_come_says_nothing_about_the_model(store: dist.TCPStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "SECONDS", 2.0)
    first, _ = under_launcher(store, plain(), absent=1)
    assert first.value == ("replicas on the CPU (rank 1 of 2 did not come in 2 s)", True, "")


def only_on_rank_1(act: Callable[[], Any]) -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if dist.is_initialized() and dist.get_rank() == 1:
            act()
        return self.layer(x)

    return module(forward, layer=nn.Linear(6, 3))


def test_a_process_that_raises_is_named(store: dist.TCPStore) -> None:
    for outcome in under_launcher(store, only_on_rank_1(fail)):
        assert outcome.value[2] == "rank 1 of 2 raised ArithmeticError: not here"


@pytest.mark.parametrize("how", ["is killed", "takes longer than the others wait"])
def test_a_process_that_does_not_answer_says_nothing_about_the_model(
    how: str, store: dist.TCPStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(groups, "SECONDS", 2.0)
    monkeypatch.setattr(groups, "MEETING_SECONDS", 2.0)
    monkeypatch.setattr(ranks, "GRACE_SECONDS", PATIENCE)
    given_up = tmp_path / "given up"

    def act() -> None:
        if how == "is killed":
            end_this_process(signal.SIGKILL)
        until(given_up.exists)

    def step(rank: int) -> Any:
        prepare_backends()
        torch.manual_seed(1)
        axes = BatchAxes(only_on_rank_1(act), (torch.randn(4, 6),), {})
        found = compare(axes, 8, 2, ranks=Ranks(launched_as(rank, store.port), "net"))
        given_up.touch()
        return found.engine, found.equal, found.failure

    first, second = run_ranks(step, 2, seconds=PATIENCE)
    # Where it stood when the others gave up depends on the machine.
    said = r"replicas on the CPU \((rank . of 2 (gave no answer|did not come)|.*(ed out|not all ranks came|[Cc]onnection)).*\)"
    for outcome in (first,) if how == "is killed" else (first, second):
        engine, equal, failure = outcome.value
        assert re.fullmatch(said, engine)
        assert (equal, failure) == (True, "")
