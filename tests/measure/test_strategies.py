"""Shards under FSDP2 in real processes, planted faults, and models that come wrapped or sharded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

import netcheck
from netcheck.measure.axes import BatchAxes
from netcheck.measure.distributed import Ranks
from netcheck.measure.ranks import run_ranks
from netcheck.measure.shards import compare
from tests.measure.networks import NETWORKS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
FIVE = ("mlp", "resnet", "tied", "experts", "u-net")


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network and eight samples; batch normalization mixes samples by design, and is in eval mode here."""
    torch.manual_seed(0)
    model, batch = NETWORKS[name].build(), NETWORKS[name].batch()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    return model, batch.repeat(4, *[1] * (batch.dim() - 1))[:8]


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4])
@pytest.mark.parametrize("name", FIVE)
def test_fsdp_gives_what_one_device_gives(name: str, devices: int) -> None:
    model, batch = built(name)
    found = compare(BatchAxes(model, (batch,), {}), 8, devices, ranks=Ranks(strategy="fsdp"))
    assert found.engine == f"FSDP2 over gloo, {devices} processes on the CPU"
    assert found.failure == ""
    assert found.dtype == "float64"
    assert found.outputs < 1e-9
    assert found.gradients is not None
    assert found.gradients < 1e-9
    assert found.by_rank == ()


def test_shares_of_different_sizes_are_weighted() -> None:
    model, batch = built("mlp")
    found = compare(BatchAxes(model, (batch,), {}), 7, 2, ranks=Ranks(strategy="fsdp"))
    assert found.equal
    assert found.mean_of_means is not None
    assert found.mean_of_means > 1e-3


# ---- planted faults ------------------------------------------------------------------------------------------------------


def findings(model: nn.Module, batch: torch.Tensor, **options: Any) -> dict[str, netcheck.Finding]:
    report = netcheck.check(model, batch, devices=2, strategy="fsdp", seeds=1, remedies=False, **options)
    return {found.code: found for found in report.findings}


def changed(model: nn.Module, forward: Callable[..., Any]) -> nn.Module:
    """The model with another forward, which is given the one that it had."""
    kind = type(model)
    model.__class__ = type(kind.__name__, (kind,), {"forward": lambda self, x: forward(self, kind.forward, x)})
    return model


@pytest.mark.slow
def test_a_buffer_by_rank_is_named() -> None:
    model, batch = built("resnet")
    model.register_buffer("shift", torch.zeros(1))

    def forward(self: Any, before: Any, x: torch.Tensor) -> torch.Tensor:
        if dist.is_initialized():
            self.shift.fill_(dist.get_rank())
        return before(self, x + self.shift)

    found = findings(changed(model, forward), batch, select=["NC7"])["NC710"]
    assert "shift has another value on each rank" in found.message


@pytest.mark.slow
def test_a_hard_coded_batch_is_named() -> None:
    model, batch = built("tied")
    found = findings(changed(model, lambda self, before, x: before(self, x).reshape(8, -1)), batch, select=["NC7"])
    assert found.keys() & {"NC704", "NC710"}
    assert "reshape" in next(iter(found.values())).message


@pytest.mark.slow
def test_what_takes_the_mean_of_a_batch_is_named() -> None:
    model, batch = built("u-net")
    found = findings(changed(model, lambda self, before, x: before(self, x - x.mean(0))), batch, select=["NC7"])
    assert "mean" in found["NC705"].message


@pytest.mark.slow
def test_a_parameter_that_is_not_sharded_is_named() -> None:
    model, batch = built("experts")
    model.extra = [nn.Parameter(torch.ones(10))]  # type: ignore[assignment]
    found = findings(changed(model, lambda self, before, x: before(self, x) * self.extra[0]), batch, select=["NC9"])
    assert any("extra" in (each.message + str(each.evidence.text) + " ".join(each.modules)) for each in found.values())


def test_a_parameter_that_is_left_out_of_the_optimizer_is_named() -> None:
    model, batch = built("mlp")
    optimizer = torch.optim.Adam([p for name, p in model.named_parameters() if name != "4.weight"])
    options = {"targets": torch.zeros(8, 10), "loss": nn.MSELoss(), "optimizer": optimizer}
    found = findings(model, batch, **options)
    assert any(code.startswith("TS") and "4.weight" in each.message + each.evidence.text for code, each in found.items())


# ---- wrapped models ------------------------------------------------------------------------------------------------------


def in_group(ranks: int, folder: Path, work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives on each rank of a gloo group."""

    def step(rank: int) -> Any:
        store = dist.FileStore(str(folder / "store"), ranks)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
        found = work(rank)
        dist.barrier()
        dist.destroy_process_group()
        return found

    outcomes = run_ranks(step, ranks, seconds=120)
    assert [outcome.failure for outcome in outcomes] == [""] * ranks
    return [outcome.value for outcome in outcomes]


def told(model: nn.Module, batch: torch.Tensor) -> tuple[str, list[str], int]:
    report = netcheck.check(model, batch, seeds=1, remedies=False)
    assert report.summary is not None, [str(found) for found in report.findings]
    return report.wrapped, sorted(found.code for found in report.findings), report.summary.parameters


def shard(model: nn.Module) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    for block in getattr(model, "blocks", ()):
        fully_shard(block)
    return fully_shard(model)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["tied", "experts"])
def test_a_model_under_fsdp_is_checked_as_the_one_that_was_sharded(name: str, ranks: int, tmp_path: Path) -> None:
    model, batch = built(name)
    _, codes, parameters = told(model, batch)

    def work(rank: int) -> Any:
        sharded = shard(model)
        state = {key: value.to_local().clone() for key, value in sharded.state_dict().items()}
        found = told(sharded, batch)
        assert type(sharded).__name__.startswith("FSDP")
        assert all(torch.equal(value.to_local(), state[key]) for key, value in sharded.state_dict().items())
        sharded(batch).sum().backward()  # it still trains
        return found

    for wrapped, found, count in in_group(ranks, tmp_path, work):
        plural = "s" if ranks > 1 else ""
        assert wrapped == f"with the parameters that FSDP2 spreads over {ranks} rank{plural} gathered"
        assert (found, count) == (codes, parameters)


@pytest.mark.slow
def test_a_model_of_distributed_tensors_is_gathered(tmp_path: Path) -> None:
    model, batch = built("mlp")
    _, codes, parameters = told(model, batch)

    def work(rank: int) -> Any:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

        plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
        return told(parallelize_module(model, init_device_mesh("cpu", (2,)), plan), batch)

    for wrapped, found, count in in_group(2, tmp_path, work):
        assert wrapped == "with the parameters that DTensor spreads over 2 ranks gathered"
        assert (found, count) == (codes, parameters)


@pytest.mark.slow
def test_one_rank_alone_is_told_to_bring_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = built("tied")
    monkeypatch.setattr("netcheck.measure.gathered.MEETING_SECONDS", 2.0)

    def work(rank: int) -> list[str]:
        sharded = shard(model)
        return [] if rank else [found.message for found in netcheck.check(sharded, batch).findings]

    found, _ = in_group(2, tmp_path, work)
    assert any("spread over 2 ranks, and not all of them check it" in message for message in found)


def test_under_distributed_data_parallel_the_model_inside_is_checked(tmp_path: Path) -> None:
    model, batch = built("mlp")
    _, codes, parameters = told(model, batch)
    (found,) = in_group(1, tmp_path, lambda rank: told(nn.parallel.DistributedDataParallel(model), batch))
    assert found == ("without nn.DistributedDataParallel", codes, parameters)


def test_a_compiled_model_is_checked_as_it_was_written() -> None:
    model, batch = built("mlp")
    _, codes, parameters = told(model, batch)
    assert told(torch.compile(model), batch) == ("without torch.compile", codes, parameters)  # type: ignore[arg-type]


def test_the_strategy_is_one_of_three() -> None:
    with pytest.raises(netcheck.UsageError, match="strategy"):
        netcheck.check(nn.Linear(2, 2), strategy="zero")
