"""The risk that a net does not train: a number between 0 and 1 that grows with what is wrong, or none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import netcheck
from netcheck.figures.decades import Decades
from netcheck.figures.risk import LIKELY, Risk

HEALTHY = {"gain": 0.0, "rank": 0.6, "differing": 0.9, "turned": 0.05, "spread": 0.5}
WORSE = [{"gain": -5.0}, {"gain": 4.0}, {"rank": 0.01}, {"turned": 1.4}, {"differing": 0.0001}, {"spread": 4.0}]


@pytest.mark.parametrize("change", WORSE)
def test_it_grows_with_each_thing_that_is_wrong(change: dict[str, float]) -> None:
    before, after = Risk.of(**HEALTHY), Risk.of(**{**HEALTHY, **change})
    assert 0 < before.sgd < after.sgd < 1
    assert 0 < before.adam < after.adam < 1
    assert before.sgd < 0.1


def test_it_is_likely_where_several_are() -> None:
    assert Risk.of(**{**HEALTHY, "gain": -6.0, "rank": 0.02}).sgd > LIKELY
    assert Risk.of(**{**HEALTHY, "gain": float("nan")}).sgd > 0.5
    assert str(Risk(0.931, 0.4)) == "0.93 that it does not train with SGD, 0.40 with Adam"
    assert 0 < Risk.of(gain=0.0, rank=0.0, differing=0.0, turned=None, spread=None).sgd < 1


def test_a_gradient_that_turns_counts_where_samples_lie_along_few_directions() -> None:
    # As measured of MobileNetV2, which trains, and of a fully connected net of 32 layers with BatchNorm, which does not.
    large = Risk.of(gain=1.3, rank=0.95, differing=0.39, turned=0.95, spread=2.7)
    deep = Risk.of(gain=1.4, rank=0.1, differing=0.96, turned=1.2, spread=1.3)
    assert large.sgd < 0.4 < deep.sgd


def report(samples: int = 32) -> netcheck.Report:
    return netcheck.check(nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)), torch.randn(samples, 16))


def test_a_report_has_it_where_enough_was_measured() -> None:
    gradients = report().gradients
    assert gradients is not None
    assert gradients.risk is not None
    assert gradients.risk.sgd < 0.5
    assert gradients.to_dict()["risk"] == {"sgd": gradients.risk.sgd, "adam": gradients.risk.adam}
    for lacking in ({"effective_rank": None}, {"between_sample_variance": None}, {"batch": 8}, {"first_nonfinite": "log"}):
        assert replace(gradients, **lacking).risk is None  # type: ignore[arg-type]
    assert replace(gradients, gain=Decades(-7.0)).risk.sgd > LIKELY  # type: ignore[union-attr]
