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


class ClassToken(nn.Module):
    """A class token that reads the others by attention, times a trained scale (as in CaiT)."""

    def __init__(self, scale: float, damping: float = 1.0) -> None:
        super().__init__()
        self.embed, self.token = nn.Linear(8, 16), nn.Parameter(torch.randn(1, 1, 16))
        self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)
        self.scale, self.damping, self.head = nn.Parameter(torch.full((16,), scale)), damping, nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, 8) -> (N, 4)."""
        patches, token = self.embed(x), self.token.expand(len(x), -1, -1)
        both = self.norm(torch.cat((token, patches), 1))
        token = token + self.damping * self.scale * self.attention(both[:, :1], both, both, need_weights=False)[0]
        return self.head(self.norm(torch.cat((token, patches), 1))[:, 0])


def test_trained_scales_that_start_small_on_every_way_are_information() -> None:
    torch.manual_seed(0)
    report = netcheck.check(ClassToken(1e-5), torch.randn(16, 6, 8))
    (found,) = (one for one in report if one.code == "NC601")
    assert str(found.severity) == "info"
    assert "which let 10^−5.0 through (the last in" in found.message
    assert report.ok, str(report)


def test_more_than_trained_scales_lose_is_no_information() -> None:
    torch.manual_seed(0)
    report = netcheck.check(ClassToken(1e-2, damping=1e-4), torch.randn(16, 6, 8))
    assert {"NC601", "NC607"} & {one.code for one in report.at_least("warning")}
