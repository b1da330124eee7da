"""Remedies against the same nets written by hand: a change that is tried must measure what the changed net measures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import nn

import netcheck
from netcheck.figures.gradients import Gradients
from netcheck.measure.gradients import probe
from netcheck.measure.remedies import PROMISING
from netcheck.trace.run import trace

DEPTH = 16
X = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))


def tanh_stack(depth: int = DEPTH, width: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(depth)]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def checked(model: nn.Module, x: torch.Tensor = X, **options: bool) -> netcheck.Report:
    return netcheck.check(model, x, device="cpu", **options)


def one_pass(model: nn.Module, x: torch.Tensor = X) -> Gradients:
    return probe(trace(model, (x,)), (x,), device="cpu", passes=1)


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def with_skips(model: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*[Around(block) for block in model[:-1]], model[-1])


def with_norms(model: nn.Sequential) -> nn.Sequential:
    norms = [nn.Sequential(block[0], nn.BatchNorm1d(64, affine=False), block[1]) for block in model[:-1]]
    return nn.Sequential(*norms, model[-1])


@pytest.mark.parametrize(("change", "by_hand"), [("no skip", with_skips), ("no norm", with_norms)])
def test_a_change_of_operations_measures_what_the_changed_net_measures(
    change: str, by_hand: Callable[[nn.Sequential], nn.Sequential]
) -> None:
    model = tanh_stack()
    gradients = checked(model).gradients
    assert gradients is not None
    (remedy,) = [remedy for remedy in gradients.remedies if remedy.change == change]
    expected = one_pass(by_hand(copy.deepcopy(model)))
    assert remedy.gain == pytest.approx(expected.gain, abs=1e-6)
    assert remedy.effective_rank == pytest.approx(expected.effective_rank, abs=1e-6)


def initialized(model: nn.Sequential, activation: str) -> nn.Sequential:
    """The same depth, drawn for another activation."""
    for block in model[:-1]:
        gain = nn.init.calculate_gain(activation)
        nn.init.normal_(block[0].weight, std=gain / 64**0.5)
        nn.init.zeros_(block[0].bias)
        if activation == "relu":
            block[1] = nn.ReLU()
    return model


@pytest.mark.parametrize(("change", "activation"), [("init", "tanh"), ("saturation", "relu")])
def test_another_initialization_measures_about_what_such_a_net_measures(change: str, activation: str) -> None:
    gradients = checked(tanh_stack()).gradients
    assert gradients is not None
    (remedy,) = [remedy for remedy in gradients.remedies if remedy.change == change]
    assert remedy.gain == pytest.approx(one_pass(initialized(tanh_stack(), activation)).gain, abs=0.4)


def shrinking_relu_stack(depth: int = 50, width: int = 64) -> nn.Sequential:
    """Half of Kaiming's gain: norms alone leave 50 layers without skips, and skips alone a stream that grows."""
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(depth)]
    for block in blocks:
        nn.init.normal_(block[0].weight, std=0.5 * (2 / width) ** 0.5)
        nn.init.zeros_(block[0].bias)
    return nn.Sequential(*blocks, nn.Linear(width, 4))


def test_where_no_single_change_works_two_are_tried_together() -> None:
    model = shrinking_relu_stack()
    report = checked(model)
    assert report.gradients is not None
    (remedy,) = report.gradients.remedies
    assert remedy.change == "no norm + no skip"
    for by_hand in (with_norms, with_skips):
        single = one_pass(by_hand(copy.deepcopy(model)))
        assert abs(single.gain) > 1.5 or (single.effective_rank or 0.0) < 0.2
    assert remedy.gain == pytest.approx(one_pass(with_skips(with_norms(copy.deepcopy(model)))).gain, abs=1e-6)
    assert any("with a BatchNorm after each weight layer and identity skips around the layers" in f.help for f in report)


def test_where_no_two_changes_work_three_are_tried_together() -> None:
    """Constant weights must be drawn anew; then 50 layers want norms, or the stream grows, and skips, or it scatters."""
    model = shrinking_relu_stack()
    for layer in model[:-1]:
        nn.init.zeros_(layer[0].weight)
    report = checked(model)
    assert report.gradients is not None
    (remedy,) = report.gradients.remedies
    assert remedy.change == "init + no norm + no skip"
    words = "with the recommended initialization, a BatchNorm after each weight layer and identity skips around the layers"
    assert any(words in found.help for found in report)


def test_remedies_stand_in_the_help_best_first() -> None:
    report = checked(tanh_stack())
    assert report.gradients is not None
    remedies = report.gradients.remedies
    risks = [round(remedy.risk or 0.0, 1) for remedy in remedies]
    assert len(risks) > 1
    assert risks == sorted(risks)
    assert max(risks) <= PROMISING < 0.9 < report.gradients.risk.sgd
    assert max(abs(remedy.gain) for remedy in remedies) < 3 < abs(report.gradients.gain)
    (finding,) = [finding for finding in report if finding.code == "NC501"]
    assert "tried: as built the gain is −4" in finding.help
    assert "\nor: " not in finding.help


def test_nothing_is_tried_where_nothing_is_wrong_or_nobody_asks() -> None:
    healthy, sick = checked(tanh_stack(3)).gradients, checked(tanh_stack(), remedies=False).gradients
    assert healthy is not None
    assert sick is not None
    assert healthy.remedies == sick.remedies == ()


@pytest.mark.parametrize("value", [0.0, 0.05])
def test_constant_weights_are_drawn_anew_whatever_else_is_done(value: float) -> None:
    """Skips alone would give a healthy gain; but units with equal weights stay equal, and zeros stay zero."""
    model = tanh_stack()
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, value)
    report = checked(model)
    assert "NC502" in {found.code for found in report}
    assert report.gradients is not None
    changes = [remedy.change for remedy in report.gradients.remedies]
    assert changes
    assert all({"init", "saturation"} & set(change.split(" + ")) for change in changes), changes


def test_skips_are_no_remedy_where_shapes_differ() -> None:
    torch.manual_seed(0)
    widths = [64 if number % 2 else 48 for number in range(17)]
    blocks = [nn.Sequential(nn.Linear(a, b), nn.Tanh()) for a, b in pairwise(widths)]
    gradients = checked(nn.Sequential(*blocks, nn.Linear(48, 4)), torch.randn(4, 48)).gradients
    assert gradients is not None
    changes = {remedy.change for remedy in gradients.remedies}
    assert "init" in changes
    assert "no skip" not in changes


def test_the_model_stays_as_it_is() -> None:
    model = tanh_stack()
    before = copy.deepcopy(model.state_dict())
    assert checked(model).gradients is not None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
