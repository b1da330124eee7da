"""NC601 beyond its examples: what starts at zero is moved by the first step."""

from __future__ import annotations

import torch
from torch import nn

import netcheck


def net(scale: float) -> nn.Module:
    """Convolutions, one of whose norms stands on the only way and starts at `scale`."""
    norm = nn.BatchNorm2d(8)
    nn.init.constant_(norm.weight, scale)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), norm, nn.Conv2d(8, 8, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def test_a_norm_that_starts_at_zero_is_information() -> None:
    torch.manual_seed(0)
    report = netcheck.check(net(0.0), torch.randn(16, 3, 12, 12))
    (found,) = (one for one in report if one.code == "NC601")
    assert str(found.severity) == "info"
    assert "`4`, which multiplies by zero" in found.message
    assert not [one.code for one in report.at_least("warning") if one.evidence.unit == "decades"]
    assert "NC601" not in [one.code for one in netcheck.check(net(1.0), torch.randn(16, 3, 12, 12))]


def test_what_is_lost_otherwise_is_none() -> None:
    torch.manual_seed(0)
    report = netcheck.check(net(1e-9), torch.randn(16, 3, 12, 12))
    assert [one.code for one in report.at_least("warning") if one.evidence.unit == "decades"]
