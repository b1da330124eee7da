"""NaN and Inf in a model are one finding, and no rule stumbles over them."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize("seed", range(8))
def test_constant_weights_are_the_only_cause_that_is_named(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    nn.init.constant_(model[2].weight, 0.001)
    report = netcheck.check(model, torch.randn(4, 16), probe=False)
    assert [finding.code for finding in report] == ["NC502"], str(report)


class MaskedLinear(nn.Linear):
    """Keeps each weight with probability 1 - p, by a mask that it draws itself."""

    p = 0.8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = (torch.rand_like(self.weight) > self.p).float()
        return nn.functional.linear(x, self.weight * kept / (1 - self.p), self.bias)


class DroppedLinear(nn.Linear):
    """The same by dropout of the weights."""

    p = 0.8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, nn.functional.dropout(self.weight, self.p, self.training), self.bias)


@pytest.mark.parametrize("layer", [MaskedLinear, DroppedLinear])
def test_where_dropconnect_drops_too_much_the_help_says_so(layer: type[nn.Linear]) -> None:
    torch.manual_seed(0)
    layers = [part for _ in range(10) for part in (layer(64, 64), nn.ReLU())]
    for linear in layers[::2]:
        nn.init.kaiming_normal_(linear.weight)
    report = netcheck.check(nn.Sequential(*layers, nn.Linear(64, 10)), torch.randn(8, 64), probe=False)
    [finding] = [finding for finding in report if finding.code == "NC501"]
    assert "DropConnect drops 80% of the weights" in finding.message
    assert "drop a smaller share" in finding.help
    said = re.search(r"with no weight dropped [−+]?(\d\.\d)", finding.evidence.text)
    assert said is not None
    assert float(said[1]) <= 0.3  # what is left over is the luck of one mask
    for linear in layers[::2]:
        linear.p = 0.2
    assert netcheck.check(nn.Sequential(*layers, nn.Linear(64, 10)), torch.randn(8, 64), probe=False).ok
