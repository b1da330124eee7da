"""What the default check says of a second batch size: samples that mix, a size that is written in, and what stays silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from netcheck import engine
from netcheck.findings import Severity
from netcheck.load.examples import described
from netcheck.measure.said import says_batch
from netcheck.source.dimensions import batch_dimension
from netcheck.trace.run import trace
from tests.trace.replay import module

MAP, SEQUENCE, ROWS = (4, 3, 8, 8), (4, 5, 6), (4, 6)
Forward = Callable[[Any, torch.Tensor], torch.Tensor]


def own_batch(self: Any, x: torch.Tensor) -> torch.Tensor:
    b, t, _ = x.shape
    return self.layer(x).view(t, b, -1).mean(0)


def last_of_view(self: Any, x: torch.Tensor) -> torch.Tensor:
    batch = x.size(0)
    return self.layer(x).view(-1, batch, 6)[-1]


def place_in_batch(self: Any, x: torch.Tensor) -> torch.Tensor:
    batch_size = len(x)
    return self.layer(x) + torch.arange(batch_size).view(-1, 1, 1)


def mean_of_batch(self: Any, x: torch.Tensor) -> torch.Tensor:
    b, _ = x.size()
    h = self.layer(x)
    return h - h.sum(0) / b


def mixed_in_training(self: Any, x: torch.Tensor) -> torch.Tensor:
    _b, _ = x.shape
    h = self.layer(x)
    return h + 0.3 * h.roll(1, 0) if self.training else h


def own_normalization(self: Any, x: torch.Tensor) -> torch.Tensor:
    _b, _ = x.shape
    h = self.layer(x)
    if not self.training:
        return h - self.mean
    self.mean = 0.9 * self.mean + 0.1 * h.mean(0).detach()
    return h - h.mean(0)


def nodes(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x) - self.layer(x).mean(0)


def steps_first(self: Any, x: torch.Tensor) -> torch.Tensor:
    _t, _b, _ = x.shape
    return self.layer(x).cumsum(0)


def pairs(self: Any, x: torch.Tensor) -> torch.Tensor:
    _b, _ = x.shape
    h = self.layer(x)
    return h @ h.t()


def half_dimensions(self: Any, x: torch.Tensor) -> torch.Tensor:
    b, t, c = x.shape
    return self.layer(x.reshape(b * t, c)).view(b, t, c).mean(1)


def eight_rows(self: Any, x: torch.Tensor) -> torch.Tensor:
    batch = x.size(0)
    return self.layer(x).view(4, -1).sum(1) + 0 * batch


class Normal(nn.Module):
    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.register_buffer("mean", torch.zeros(6))

    forward = own_normalization


def codes(model: nn.Module, *args: torch.Tensor, **options: Any) -> dict[str, Severity]:
    """What the default check says of the batch."""
    found = engine.check(model, args, remedies=False, seeds=1, **options)
    return {each.code: each.severity for each in found if each.code in ("NC704", "NC705", "NC909")}


@pytest.mark.parametrize(
    ("forward", "shape", "expected"),
    [
        (own_batch, SEQUENCE, {"NC909": Severity.WARNING}),  # which says the same, and where
        (last_of_view, SEQUENCE, {"NC909": Severity.WARNING}),
        (place_in_batch, SEQUENCE, {"NC705": Severity.WARNING}),
        (mean_of_batch, ROWS, {"NC705": Severity.WARNING}),
        (mixed_in_training, ROWS, {"NC705": Severity.INFO}),
        (nodes, ROWS, {"NC705": Severity.INFO}),
        (eight_rows, SEQUENCE, {"NC704": Severity.ERROR}),
        (steps_first, SEQUENCE, {"NC705": Severity.INFO}),
        (pairs, ROWS, {}),
        (half_dimensions, SEQUENCE, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_default_check_tells_of_samples_that_mix(forward: Forward, shape: tuple[int, ...], expected: Any) -> None:
    assert codes(module(forward, layer=nn.Linear(6, 6)), torch.randn(shape)) == expected


def counts_calls(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.calls += 1
    return self.layer(x) + self.calls


def writes_to_its_input(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x.mul_(2))


@pytest.mark.parametrize(("forward", "pure"), [(half_dimensions, True), (counts_calls, False), (writes_to_its_input, False)])
def test_the_comparison_also_tells_whether_calls_leave_everything_alone(forward: Forward, pure: bool) -> None:
    from netcheck.measure.samples import look

    model, x = module(forward, layer=nn.Linear(6, 6), calls=0), torch.randn(SEQUENCE)
    assert look(trace(model, (x,)), (x,), {}).pure is pure


@pytest.mark.parametrize("forward", [nodes, steps_first], ids=lambda forward: forward.__name__)
def test_nothing_is_said_of_inputs_that_netcheck_chose_if_nothing_tells_what_they_hold(forward: Forward) -> None:
    from netcheck.engine.measuring import looked_at

    model, x = module(forward, layer=nn.Linear(6, 6)), torch.randn(4, 5, 6)
    assert looked_at(trace(model, (x,)), described((x,), {}, "inferred")) is None


@pytest.mark.parametrize("shape", [(4, 6), (4, 1, 2, 3)])
def test_of_rows_and_images_that_netcheck_chose_something_is_said(shape: tuple[int, ...]) -> None:
    from netcheck.engine.measuring import looked_at

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.layer(x.reshape(-1, 6)), dim=0)

    model, x = module(forward, layer=nn.Linear(6, 6)), torch.randn(shape)
    seen = looked_at(trace(model, (x,)), described((x,), {}, "inferred"))
    assert seen is not None
    assert seen.batches is not None
    assert [each.target for each in seen.batches.mixing] == ["F.normalize"]
    assert seen.batches.doubtful


def test_a_batch_normalization_is_meant_to_mix_samples_in_training() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)]
    assert codes(nn.Sequential(*layers), torch.randn(MAP)) == {}
    assert codes(Normal(), torch.randn(ROWS)) == {}


def test_nothing_is_run_without_the_probe() -> None:
    assert codes(module(place_in_batch, layer=nn.Linear(6, 6)), torch.randn(SEQUENCE), probe=False) == {}


def test_what_tells_that_the_first_dimension_is_a_batch() -> None:
    x = torch.randn(4, 5, 6)
    assert "nn.GRU" in says_batch(trace(nn.Sequential(nn.GRU(6, 8, batch_first=True)), (x,)))
    assert says_batch(trace(nn.Sequential(nn.GRU(6, 8)), (x,))) == ""
    assert "nn.Conv2d" in says_batch(trace(nn.Sequential(nn.Conv2d(3, 4, 3)), (torch.randn(MAP),)))
    assert says_batch(trace(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(5)), (x,))) == ""
    assert "batch" in says_batch(trace(module(own_batch, layer=nn.Linear(6, 6)), (x,)))


def test_names_of_dimensions_are_read_off_the_code() -> None:
    assert batch_dimension(own_batch, "x") == 0
    assert batch_dimension(last_of_view, "x") == 0
    assert batch_dimension(place_in_batch, "x") == 0
    assert batch_dimension(steps_first, "x") == 1
    assert batch_dimension(nodes, "x") is None
