"""The memory of a step on each device: that of a step on its samples alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netcheck
from netcheck.measure.cost import cost
from netcheck.measure.share_memory import with_memory
from netcheck.measure.split import split
from netcheck.trace import trace


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))


def test_each_device_needs_what_a_step_on_its_samples_needs() -> None:
    model, x = convolutions(), torch.randn(2, 3, 8, 8)
    graph = trace(model, (x,))
    found = with_memory(split(graph, (x,), {}, devices=4, samples=50, run=False), graph, (x,), {})
    assert found.samples == (13, 13, 13, 11)
    for shard in found.shards:
        alone = torch.randn(shard.samples, 3, 8, 8)
        assert shard.memory == cost(trace(model, (alone,)), (alone,)).memory
    most, least = found.shards[0].memory, found.shards[-1].memory
    assert most is not None
    assert least is not None
    assert most["adam"].working > least["adam"].working
    assert most["adam"].optimizer == 2 * sum(4 * p.numel() for p in model.parameters())


def test_a_share_that_forward_refuses_has_none() -> None:
    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) % 2:
                raise ValueError("pairs wanted")
            return self.fc(x)

    model, x = Pairs(), torch.randn(2, 4)
    graph = trace(model, (x,))
    found = with_memory(split(graph, (x,), {}, devices=2, samples=8, run=False), graph, (x,), {})
    assert all(shard.memory for shard in found.shards)
    odd = with_memory(split(graph, (x,), {}, devices=2, samples=6, run=False), graph, (x,), {})
    assert [shard.memory for shard in odd.shards] == [None, None]


def test_a_batch_whose_shares_fit_their_devices_is_no_fault() -> None:
    options = {"batch_size": 4000, "device_memory": "4MiB", "probe": False, "select": ["NC801"]}
    x = torch.randn(8, 3, 8, 8)
    (found,) = netcheck.check(convolutions(), x, **options)  # type: ignore[arg-type]
    assert "a batch of 4000 needs" in found.message
    assert netcheck.check(convolutions(), x, devices=8, **options).findings == []  # type: ignore[arg-type]
    (found,) = netcheck.check(convolutions(), x, devices=2, **options)  # type: ignore[arg-type]
    assert "a batch of 2000 needs" in found.message


@pytest.mark.parametrize(("asked", "told"), [({}, False), ({"batch_size": 16}, True)])
def test_a_report_tells_it_where_the_cost_was_asked_for(asked: dict[str, int], told: bool) -> None:
    report = netcheck.check(convolutions(), torch.randn(8, 3, 8, 8), devices=2, probe=False, **asked)  # type: ignore[arg-type]
    assert report.batches is not None
    assert all((shard.memory is not None) is told for shard in report.batches.shards)
    assert ("at the peak with Adam" in str(report)) is told
