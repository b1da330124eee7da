"""Where netcheck chose the size of images itself, it measures on smaller ones before it measures on few samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import netcheck
from netcheck.load.inputs import infer_inputs
from netcheck.measure import small_images
from netcheck.measure.small_images import FEWEST, Subject, measurable, smallest_map
from netcheck.trace import trace


class Convolutions(nn.Sequential):
    """Pools its maps: images of any size do."""

    def __init__(self, strides: tuple[int, ...] = (1,) * 12, head: int | None = None) -> None:
        layers: list[nn.Module] = []
        for index, stride in enumerate(strides):
            layers += [nn.Conv2d(16 if index else 3, 16, 3, stride, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
        pooled = [nn.AdaptiveAvgPool2d(1)] if head is None else []
        super().__init__(*layers, *pooled, nn.Flatten(), nn.Linear(head or 16, 10))


def subject(model: nn.Module) -> Subject:
    example = infer_inputs(model)
    return Subject(trace(model, example.args, example.kwargs), example)


def test_many_samples_of_small_images_are_measured_and_said() -> None:
    report = netcheck.check(Convolutions())
    assert report.inputs.startswith("input float32 (2, 3, 224, 224)")
    gradients = report.gradients
    assert gradients is not None
    assert (gradients.batch, gradients.passes) == (32, 3)
    assert gradients.remarks == ("images of 32x32 in the place of 224x224, to afford more samples",)


def test_no_map_becomes_so_small_that_it_is_mostly_padding() -> None:
    whole = subject(Convolutions((2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1)))
    smaller = measurable(whole, device="cpu")
    assert smaller is not whole
    assert smallest_map(whole.graph) == 14
    assert FEWEST <= smallest_map(smaller.graph) < 14


def test_what_was_given_stays_as_it_is() -> None:
    report = netcheck.check(Convolutions(), torch.randn(2, 3, 224, 224))
    assert report.gradients is not None
    assert not any("images of" in remark for remark in report.gradients.remarks)


def test_what_the_model_fixes_stays_as_it_is() -> None:
    whole = subject(Convolutions((4, 1, 1, 1), head=16 * 56 * 56))
    assert measurable(whole, device="cpu") is whole


def test_what_is_affordable_stays_as_it_is() -> None:
    whole = subject(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    assert measurable(whole, device="cpu") is whole


def test_a_net_that_does_something_else_with_small_images_is_measured_on_large_ones() -> None:
    class Two(Convolutions):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if x.shape[-1] > 200 else x + 1)

    whole = subject(Two())
    assert measurable(whole, device="cpu") is whole


def test_a_net_that_cannot_be_measured_on_small_images_is_on_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large(Convolutions):
        def forward(self, x: Tensor) -> Tensor:
            if not isinstance(x, torch._subclasses.FakeTensor) and x.shape[-1] < 64:
                raise ValueError("too small")
            return super().forward(x)

    monkeypatch.setattr(small_images, "SIDES", (32,))
    report = netcheck.check(Large((2, 1, 1)))
    assert report.gradients is not None
    assert not any("images of" in remark for remark in report.gradients.remarks)
