"""Modes of models whose `train` is something else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import netcheck
from netcheck.load.modes import set_training


class Learner(nn.Module):
    """Trains itself on data."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.drop, self.head = nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 2)

    def train(self, positive: Any, negative: Any) -> None:  # type: ignore[override]
        raise AssertionError("it is no mode")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(torch.relu(self.body(x))))


class Frozen(nn.Sequential):
    """Keeps its first part in eval mode."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self[0].eval()
        return self


@pytest.mark.parametrize("training", [True, False])
def test_what_trains_on_data_gets_its_flags(training: bool) -> None:
    model = nn.Sequential(nn.Dropout(), Learner())
    set_training(model, training)
    assert {part.training for part in model.modules()} == {training}


def test_a_train_of_a_mode_is_called() -> None:
    model = Frozen(nn.Dropout(), nn.Dropout()).eval()
    set_training(model, True)
    assert [part.training for part in model] == [False, True]


def test_such_a_model_is_checked_and_stays_as_it_was() -> None:
    model = Learner()
    before = [part.training for part in model.modules()]
    report = netcheck.check(model, torch.randn(8, 8))
    assert report.gradients is not None
    assert report.ok, str(report)
    assert [part.training for part in model.modules()] == before
