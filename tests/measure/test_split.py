"""What `check` says of a batch that is split: the table, the inputs, and what the rules make of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netcheck
import netcheck.measure.split as measure_split
from netcheck.findings import Report
from netcheck.measure.split import OPERATIONS, SHAPES, Size
from tests.trace.replay import module


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4))


def codes(report: Report) -> set[str]:
    return {found.code for found in report if found.code.startswith("NC7")}


def test_the_table_of_the_lecture() -> None:
    report = netcheck.check(plain(), torch.randn(50, 10), devices=2, probe=False)
    assert report.batches is not None
    assert [shard.shapes for shard in report.batches.shards] == [((25, 10),), ((25, 10),)]
    assert "device 0  forward (25, 10)\n  device 1  forward (25, 10)" in str(report)
    assert codes(report) == set()


def test_the_batch_is_split_only_where_somebody_asks() -> None:
    report = netcheck.check(plain(), torch.randn(5, 10))
    assert report.known_batches is None
    assert "device 0" not in str(report)
    assert report.batches is not None
    assert report.batches.devices >= 2
    assert report.batches.samples[0] == -(-5 // report.batches.devices)


def test_a_rule_that_is_named_asks() -> None:
    report = netcheck.check(plain(), torch.randn(5, 10), select=["NC701"])
    assert [found.code for found in report] == ["NC701"]


def test_equal_shares_of_independent_samples_have_no_findings() -> None:
    report = netcheck.check(plain(), torch.randn(2, 10), devices=4, batch_size=32)
    assert codes(report) == set()
    assert report.batches is not None
    assert report.batches.equal
    assert report.batches.mixing == ()
    assert report.batches.engine
    entry = json.loads(json.dumps(report.to_dict()["batches"]))
    assert entry["equal"] is True
    last = entry["shards"][3]
    assert (last["device"], last["samples"], last["shapes"], last["loss"]) == (3, 8, [[8, 10]], None)
    assert last["memory"]["adam"]["parameters"] == report.batches.shards[3].memory["adam"].parameters  # type: ignore[index]


def test_50_over_4() -> None:
    report = netcheck.check(plain(), torch.randn(2, 10), devices=4, batch_size=50)
    assert codes(report) == {"NC701", "NC711"}
    assert report.batches is not None
    assert report.batches.samples == (13, 13, 13, 11)
    assert report.batches.sampler == (13, 13, 13, 13)
    assert report.batches.duplicates == 2
    assert report.batches.equal


@pytest.mark.parametrize(("samples", "said"), [(7, "1 comes twice"), (3, "they come up to 3 times"), (1, "it comes 8 times")])
def test_samples_that_come_more_than_once(samples: int, said: str) -> None:
    report = netcheck.check(plain(), torch.randn(2, 10), devices=8, batch_size=samples, select=["NC711"])
    (found,) = report.findings
    assert found.message.endswith(said)
    assert found.evidence.text == f"{8 - samples} samples added to {samples}"


def test_a_share_on_which_forward_raises_names_its_line() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if len(x) < 4:
            raise ValueError("at least 4 samples")
        return self.layer(x)

    model = module(forward, layer=nn.Linear(10, 4))
    report = netcheck.check(model, torch.randn(8, 10), devices=4, select=["NC710"])
    (found,) = report.findings
    assert "forward on a share of 2 of 8 samples" in found.message
    assert found.location is not None
    assert found.location.file == __file__


def test_one_cause_one_finding() -> None:
    model = module(lambda self, x: self.layer(x - x.mean(0)), layer=nn.Linear(10, 4))
    report = netcheck.check(model, torch.randn(8, 10), devices=2)
    assert codes(report) == {"NC705"}
    (found,) = (each for each in report if each.code == "NC705")
    assert found.location is not None
    assert found.location.file == __file__
    assert found.evidence.value > 0.01


def test_a_loss_on_each_device() -> None:
    model = module(lambda self, x: self.layer(x).square().mean(), layer=nn.Linear(10, 4))
    report = netcheck.check(model, torch.randn(8, 10), devices=2)
    assert report.batches is not None
    assert all(shard.loss is not None and shard.loss > 0 for shard in report.batches.shards)
    assert "  loss " in str(report)
    assert codes(report) == set()


def test_a_model_without_values_is_split_on_paper() -> None:
    with torch.device("meta"):
        model = plain()
    report = netcheck.check(model, torch.randn(8, 10), devices=4)
    assert report.batches is not None
    assert report.batches.samples == (2, 2, 2, 2)
    assert report.batches.equal is None
    assert report.batches.judged == SHAPES
    assert "on fake tensors: none mixes samples" in str(report)


class Wide(nn.Module):
    """Convolutions of images, which may be made for one size."""

    def __init__(self, *, side: int = 64, mixes: bool = False, fixed: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3)))
        self.head, self.mixes, self.side = nn.Linear(8, 4), mixes, side if fixed else 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.side and x.shape[-1] != self.side:
            raise ValueError("made for one size")
        h = self.body(x).mean((2, 3))
        return self.head(h - h.mean(0) if self.mixes else h)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("mixes", [False, True])
def test_what_takes_too_much_to_run_is_judged_operation_by_operation(
    fixed: bool, mixes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_split, "COMPARED_FLOPS", 1.0)
    report = netcheck.check(Wide(fixed=fixed, mixes=mixes), torch.randn(2, 3, 64, 64), devices=4, batch_size=32, probe=True,
                            select=["NC704", "NC705", "NC006"])  # fmt: skip
    assert report.batches is not None
    assert report.batches.judged == OPERATIONS + ("" if fixed else ", images of 32x32")
    assert codes(report) == ({"NC705"} if mixes else set())
    assert f"{OPERATIONS}{'' if fixed else ', images of 32x32'}: {'1 mixes samples' if mixes else 'none mixes samples'}" in str(
        report
    )


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda self, x: self.layer(x) - self.layer(x).mean(0), {"NC705"}),
        (lambda self, x: self.layer(x).softmax(0), {"NC705"}),
        (lambda self, x: self.layer(x).flip(0), {"NC705"}),
        (lambda self, x: self.layer(x).softmax(-1), set()),
        (lambda self, x: self.layer(x).view(-1, 2, 2).mean(1), set()),
        (lambda self, x: self.layer(x).mean(), set()),
    ],
)
def test_samples_that_mix_are_seen_on_fake_tensors(forward: Any, expected: set[str]) -> None:
    with torch.device("meta"):
        model = module(forward, layer=nn.Linear(10, 4))
    report = netcheck.check(model, torch.randn(8, 10), devices=2, select=["NC705"])
    assert codes(report) == expected


def test_a_constant_of_the_examples_size_is_no_batch() -> None:
    def windows(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + torch.arange(4.0).view(2, 2).sum(0).repeat(2)

    report = netcheck.check(
        module(windows, layer=nn.Linear(10, 4)), torch.randn(2, 10), devices=2, batch_size=8, select=["NC704"]
    )
    assert codes(report) == set()


def test_what_cannot_be_judged_is_no_silence() -> None:
    noise = module(lambda self, x: self.layer(x) + torch.from_numpy(np.random.rand(len(x), 4)).float(), layer=nn.Linear(10, 4))
    report = netcheck.check(noise, torch.randn(4, 10), devices=2)
    assert "NC006" in {found.code for found in report}


def test_a_dropped_batch_is_said() -> None:
    model = module(lambda self, x, mask: self.layer(x * mask), layer=nn.Linear(10, 4))
    report = netcheck.check(model, (torch.randn(8, 10), torch.ones(1, 10)), devices=4)
    assert report.batches is not None
    assert report.batches.dropped == 6
    assert codes(report) == {"NC703"}
    assert "6 of 8 samples reach no device" in str(report)


@pytest.mark.parametrize("value", [3, None, "word"])
def test_a_model_without_a_batch_cannot_be_split(value: Any) -> None:
    model = module(lambda self, n: self.layer.weight.sum(), layer=nn.Linear(3, 3))
    report = netcheck.check(model, (value,), devices=2)
    assert report.batches is not None
    assert report.batches.shards == ()
    assert "no argument has a batch" in str(report)


def test_large_batches_are_run_in_part() -> None:
    size = Size(flops=2e8, activations=1e6)
    assert size.affordable(8, 4) == 8
    assert size.affordable(1000, 4) == 16
    assert size.affordable(1001, 4) == 17
    assert Size(0.0, 0.0).affordable(1000, 4) == 1000


def test_the_model_and_the_random_numbers_are_left_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 4))
    x = torch.randn(8, 10)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    netcheck.check(model, x, devices=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_inferred_inputs_say_nothing_about_the_batch() -> None:
    model = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
    report = netcheck.check(model, devices=4)
    assert report.batches is not None
    assert report.batches.samples == (8, 8, 8, 8)
    assert codes(report) == {"NC705"}  # batch normalization, as information
    assert report.ok
