"""NaN and Inf in a model are one finding, and no rule stumbles over them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netcheck


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_found_and_break_nothing(value: float) -> None:
    model = nn.Sequential(
        nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 4)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.view(-1)[0] = value
    report = netcheck.check(model, torch.randn(4, 8), probe=False)
    codes = [finding.code for finding in report.findings]
    assert "NC008" not in codes, str(report)
    [finding] = [finding for finding in report.findings if finding.code == "NC507"]
    assert finding.severity == "error"
    assert finding.evidence.value == len(list(model.parameters()))
    assert finding.location is not None
