"""Shards against the whole batch: what must be equal is, to rounding, and what must differ does by the right amount."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netcheck
from netcheck.measure.axes import BatchAxes
from netcheck.measure.shards import CannotCompareError, compare
from tests.trace.replay import module

Forward = Callable[[Any, torch.Tensor], Any]


def compared(model: nn.Module, samples: int, devices: int, *shape: int) -> Any:
    return compare(BatchAxes(model, (torch.randn(4, *shape),), {}), samples, devices)


def layered(forward: Forward) -> nn.Module:
    return module(forward, layer=nn.Linear(6, 3), other=nn.Linear(6, 3))


@pytest.mark.parametrize(("samples", "devices"), [(8, 2), (8, 4), (7, 4), (5, 4), (13, 3), (2, 1)])
def test_samples_that_stay_apart_give_the_same_in_shards(samples: int, devices: int) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(5))
    net(torch.randn(1, 3, 8, 8))
    found = compared(net, samples, devices, 3, 8, 8)
    assert found.dtype == "float64"
    assert found.equal
    assert found.outputs <= 1e-12
    assert found.gradients <= 1e-12
    if samples % devices == 0:
        assert found.mean_of_means <= 1e-12
    else:
        assert found.mean_of_means > 1e-3  # the smaller shard's samples count for more


def test_the_mean_of_means_is_what_autograd_says() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(6, 1, bias=False).double(), torch.randn(5, 6, dtype=torch.float64)
    axes = BatchAxes(model, (x,), {})
    found = compare(axes, 5, 4, seed=3)
    torch.manual_seed(3)
    (given,), _ = axes.drawn(5, seed=3, dtype=torch.float64)
    torch.manual_seed(3)
    cotangent = torch.randn(5, 1, dtype=torch.float64)
    each = cotangent * given  # the gradient of <c_n, w x_n>
    whole = each.mean(0)
    means = torch.stack([each[:2].mean(0), each[2:4].mean(0), each[4:].mean(0)]).mean(0)
    assert found.mean_of_means == pytest.approx(float((means - whole).norm() / whole.norm()), rel=1e-9)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: self.layer(x - x.mean(0)),
        lambda self, x: self.layer(x).softmax(0),
        lambda self, x: self.layer(x).flip(0),
        lambda self, x: self.layer(x) / x.size(0),
    ],
)
def test_mixed_samples_differ(forward: Forward) -> None:
    found = compared(layered(forward), 8, 2, 6)
    assert not found.equal
    assert found.largest > 0.05


def test_batch_norm_differs_and_synchronized_does_not() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    found = compared(net, 7, 3, 3, 8, 8)
    assert not found.equal
    assert found.synced is not None
    assert found.synced <= 1e-9
    synced = compared(nn.SyncBatchNorm.convert_sync_batchnorm(net), 7, 3, 3, 8, 8)
    assert synced.equal
    assert compared(net.eval(), 7, 3, 3, 8, 8).equal


def test_a_loss_is_averaged_and_has_the_gradient_of_the_whole() -> None:
    model = layered(lambda self, x: F.mse_loss(self.layer(x), x[:, :3]))
    assert compared(model, 7, 3, 6).equal


def test_samples_that_are_sorted_and_put_back_are_equal() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        order = x[:, 0].argsort()
        return self.layer(x[order])[order.argsort()]

    assert compared(layered(forward), 8, 2, 6).equal
    report = netcheck.check(layered(forward), torch.randn(8, 6), devices=2, select=["NC7"])
    assert [found.code for found in report] == ["NC709"]  # the other layer


def test_single_precision_inside_is_judged_as_such() -> None:
    found = compared(layered(lambda self, x: self.layer(x).float().softmax(-1)), 8, 2, 6)
    assert found.dtype == "float32"
    assert found.tolerance == 1e-4
    assert found.equal


def folded(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x).flatten(0, 1)  # (N, T, 6) -> (N T, 3)


def paired(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x).view(-1, 2, 3).mean(1)  # (N, 6) -> (N / 2, 3)


@pytest.mark.parametrize("weight", [1.0, -1.0])
@pytest.mark.parametrize(("forward", "shape"), [(folded, (5, 6)), (paired, (6,))])
def test_outputs_with_more_or_fewer_rows_than_samples_have_gradients_too(
    forward: Forward, shape: tuple[int, ...], weight: float
) -> None:
    def scaled(self: Any, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = forward(self, x)
        # On a share the values are the same, and the gradients are not.
        return y if weight > 0 or len(x) == 8 else y.detach() + (y - y.detach()) * weight

    found = compared(layered(scaled), 8, 2, *shape)
    assert found.outputs <= 1e-12
    assert found.gradients == pytest.approx(1 - weight, abs=1e-12)


def test_random_numbers_that_cannot_be_turned_off_are_not_compared() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * random.random()

    with pytest.raises(CannotCompareError, match="draws random numbers of its own"):
        compared(layered(forward), 8, 2, 6)
    report = netcheck.check(layered(forward), torch.randn(8, 6), devices=2, select=["NC7"])
    assert [(found.code, "draws random numbers" in found.evidence.text) for found in report] == [("NC006", True)]


def test_parameters_that_no_output_needs_are_named() -> None:
    found = compared(layered(lambda self, x: self.layer(x)), 8, 2, 6)
    assert found.unused == ("other.weight", "other.bias")


def test_a_share_on_which_forward_raises_is_a_failure() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
    found = compared(net, 5, 2, 6)
    assert not found.failure
    found = compared(net, 4, 4, 6)
    assert "Expected more than 1 value per channel" in found.failure
    assert not found.equal


def test_the_model_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    axes = BatchAxes(net, (torch.randn(4, 6),), {})
    state = torch.random.get_rng_state()
    compare(axes, 8, 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert "forward" not in vars(net[1])
