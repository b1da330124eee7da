"""NC105 and NC401 beside what was measured."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netcheck
from netcheck.findings import Finding
from netcheck.rules import base


def found(model: nn.Module, code: str, *shape: int) -> list[Finding]:
    return [finding for finding in netcheck.check(model, torch.randn(*shape), device="cpu") if finding.code == code]


def far_below(bias: float) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    nn.init.constant_(model[0].bias, bias)
    return model


def test_units_that_are_dead_on_every_sample_confirm_it() -> None:
    (finding,) = found(far_below(-10.0), "NC105", 8, 16)
    assert finding.verdict == "confirmed"
    assert "measured: 100% of the units" in finding.evidence.text
    assert not found(far_below(-10.0), "NC605", 8, 16)  # it is the cause, and said once


def test_units_that_live_clear_it() -> None:
    """What the weights look like is one thing, what comes in another: here the same layers with other inputs."""
    (suspicion,) = netcheck.check(far_below(-10.0), torch.randn(8, 16), probe=False, select=["NC105"])
    alive = netcheck.check(far_below(0.0), torch.randn(8, 16), device="cpu").gradients
    assert suspicion.verdict == "suspected"
    assert alive is not None
    cleared = base.find("NC105").verdict(suspicion, alive)
    assert cleared.verdict == "cleared"
    assert not cleared.counts
    assert "measured: 0% of the units" in cleared.evidence.text


def plain(activation: type[nn.Module], norm: type[nn.Module], depth: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(64, 64), norm(64), activation()) for _ in range(depth)]
    return nn.Sequential(*layers, nn.Linear(64, 10))


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm])
def test_depth_is_confirmed_where_the_gradient_turns(norm: type[nn.Module]) -> None:
    """The chaotic side (BatchNorm: the gradient grows) and the ordered one (LayerNorm: few directions)."""
    (finding,) = found(plain(nn.ReLU, norm, 40), "NC401", 8, 64)
    assert finding.verdict == "confirmed"
    assert finding.severity == "warning"
    assert "1 − cosine" in finding.evidence.text or "gain" in finding.evidence.text


def test_depth_is_cleared_where_the_gradient_does_not_suffer() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(34):
        layer = nn.Linear(256, 256)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        layers += [layer, nn.BatchNorm1d(256, affine=False), nn.LeakyReLU(0.9)]
    model = nn.Sequential(*layers, nn.Linear(256, 10))
    (finding,) = found(model, "NC401", 8, 256)
    assert finding.verdict == "cleared"
