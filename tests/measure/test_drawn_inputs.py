"""Inputs as the probe draws them: white, and with low frequencies where samples of white noise look alike."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netcheck
from netcheck.measure.inputs import with_low_frequencies


@pytest.mark.parametrize("shape", [(64, 3, 32, 32), (64, 4, 100), (64, 100, 4), (64, 2, 8, 8, 8), (64, 10), (4, 3, 2, 2)])
def test_they_have_unit_variance_and_half_of_it_is_slow(shape: tuple[int, ...]) -> None:
    drawn = with_low_frequencies(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert drawn.shape == shape
    assert float(drawn.square().mean()) == pytest.approx(1.0, abs=0.1)
    positions = [dim for dim in range(1, len(shape)) if shape[dim] > 4]
    if len(shape) > 2 and len(positions) == 1:
        white = 1 / shape[positions[0]]
        assert float(drawn.mean(positions[0]).square().mean()) > 5 * white


def pooled(gain: float) -> nn.Module:
    """A global average of maps; with a small gain and a bias that is large beside it, all samples look alike in truth."""
    convolution = nn.Conv2d(3, 16, 3, padding=1)
    nn.init.normal_(convolution.weight, std=gain)
    nn.init.constant_(convolution.bias, 1.0)
    return nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))


def test_averages_of_white_noise_are_no_collapse() -> None:
    assert netcheck.check(pooled(0.2), torch.randn(8, 3, 96, 96)).ok


def test_what_is_alike_in_truth_is() -> None:
    assert "NC607" in [one.code for one in netcheck.check(pooled(1e-4), torch.randn(8, 3, 96, 96), select=["NC607"])]


def test_given_batches_are_taken_as_they_are() -> None:
    batches = [torch.randn(8, 3, 96, 96) for _ in range(3)]
    assert "NC607" in [one.code for one in netcheck.check(pooled(0.2), iter(batches))]
