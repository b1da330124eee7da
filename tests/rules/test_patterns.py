"""The lecture's patterns, named wherever they are: sick (outside the depth budget), borderline (inside it), and healthy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netcheck
from netcheck.figures.decades import Decades
from netcheck.findings import Report, Severity, Verdict
from netcheck.report.text import render
from netcheck.rules.helpers import patterns
from tests.rules import strangers
from tests.rules.checking import net

Build = Callable[[], tuple[nn.Module, tuple[int, ...] | Tensor]]


def stack(count: int, activation: Callable[[], nn.Module], *, gain: float = 0.0, between: Callable[[], nn.Module] | None = None):
    """Linear layers and activations; a gain other than 0 is std * sqrt(fan_in)."""
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [nn.Linear(64, 64), *([between()] if between else []), activation()]
        if gain:
            nn.init.normal_(layers[-2 - bool(between)].weight, std=gain / 8)
            nn.init.zeros_(layers[-2 - bool(between)].bias)
    return nn.Sequential(*layers, nn.Linear(64, 10)), (8, 64)


def images(count: int, *, kaiming: bool = True, norm: bool = False, activation: Any = nn.ReLU):
    """Convolutions."""
    layers: list[nn.Module] = []
    for index in range(count):
        convolution = nn.Conv2d(16 if index else 3, 16, 3, padding=1)
        if kaiming:
            nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, *([nn.BatchNorm2d(16)] if norm else []), activation()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)), (4, 3, 8, 8)


def sequence(count: int, activation: Callable[[Tensor], Tensor]):
    """Convolutions over time, in a loop."""

    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = activation(layer(x))
        return self.head(x.mean(2))

    layers = nn.ModuleList(nn.Conv1d(32, 32, 3, padding=1) for _ in range(count))
    return net(forward, layers=layers, head=nn.Linear(32, 5)), (4, 32, 12)


def tokens(count: int, activation: Callable[[Tensor], Tensor]):
    """Layers over each item of a sequence (B, T, C), as functions of bare matrices."""

    def forward(self: Any, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = activation(x @ weight)
        return self.head(x[:, -1])

    weights = nn.ParameterList(nn.Parameter(torch.randn(32, 32) / (3 * 32) ** 0.5) for _ in range(count))
    return net(forward, weights=weights, head=nn.Linear(32, 5)), (4, 6, 32)


class Residual(nn.Module):
    """x + f(norm(x))."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.norm, self.layer, self.activation = nn.LayerNorm(64), nn.Linear(64, 64), activation

    def forward(self, x: Tensor) -> Tensor:
        return x + self.activation(self.layer(self.norm(x)))


def blocks(count: int, activation: Callable[[], nn.Module]):
    """Residual blocks."""
    return nn.Sequential(*[Residual(activation()) for _ in range(count)], nn.Linear(64, 10)), (8, 64)


def words(length: int) -> Tensor:
    """Eight sequences of word numbers."""
    return torch.randint(0, 300, (8, length))


NAMED: dict[str, tuple[str, Build]] = {
    "twenty tanh modules": ("NC101", lambda: stack(20, nn.Tanh)),
    "six tanh modules": ("NC101", lambda: stack(6, nn.Tanh)),
    "ten tanh modules at their own gain": ("NC101", lambda: stack(10, nn.Tanh, gain=5 / 3)),
    "eight tanh convolutions": ("NC101", lambda: images(8, activation=nn.Tanh)),
    "nine convolutions over time, softsign": ("NC101", lambda: sequence(9, F.softsign)),
    "seven matrices over tokens, tanh": ("NC101", lambda: tokens(7, torch.tanh)),
    "four tanh layers that cost a third": ("NC101", lambda: stack(4, nn.Tanh, gain=0.5)),
    "eight sigmoid modules": ("NC102", lambda: stack(8, nn.Sigmoid)),
    "three sigmoid modules": ("NC102", lambda: stack(3, nn.Sigmoid)),
    "two sigmoid modules": ("NC102", lambda: stack(2, nn.Sigmoid)),
    "sigmoid behind norms": ("NC102", lambda: stack(2, nn.Hardsigmoid)),
    "four convolutions over time, sigmoid": ("NC102", lambda: sequence(4, torch.sigmoid)),
    "three matrices over tokens, sigmoid": ("NC102", lambda: tokens(3, torch.sigmoid)),
    "twelve convolutions": ("NC301", lambda: images(12)),
    "twelve convolutions at the default": ("NC301", lambda: images(12, kaiming=False)),
    "six linear layers at the default": ("NC301", lambda: stack(6, nn.ReLU)),
    "fourteen convolutions over time": ("NC301", lambda: sequence(14, F.relu)),
    "eleven matrices over tokens": ("NC301", lambda: tokens(11, F.relu)),
    "sixteen tanh layers without norm": ("NC301", lambda: stack(16, nn.Tanh, gain=5 / 3)),
    "twelve convolutions with norms": ("NC401", lambda: images(12, norm=True)),
    "forty convolutions with norms": ("NC401", lambda: images(40, norm=True)),
    "fifteen linear layers with norms": ("NC401", lambda: stack(15, nn.ReLU, gain=1.4, between=lambda: nn.LayerNorm(64))),
    "thirteen convolutions over time": ("NC401", lambda: sequence(13, F.gelu)),
    "eleven matrices over tokens without skips": ("NC401", lambda: tokens(11, F.gelu)),
    "twenty ReLU layers at the default": ("NC501", lambda: stack(20, nn.ReLU)),
    "five ReLU layers at the default": ("NC501", lambda: stack(5, nn.ReLU)),
    "eight convolutions at the default": ("NC501", lambda: images(8, kaiming=False)),
    "six layers of standard deviation 0.1": ("NC501", lambda: stack(6, nn.ReLU, gain=0.8)),
    "six layers that are too large": ("NC501", lambda: stack(6, nn.ReLU, gain=3.0)),
    "six GELU convolutions over time": ("NC501", lambda: sequence(6, F.gelu)),
    "Regressor": ("NC101", lambda: (strangers.Regressor(), (8, 13))),
    "FieldNet": ("NC101", lambda: (strangers.FieldNet(), (8, 2))),
    "LeNetDeep": ("NC101", lambda: (strangers.LeNetDeep(), (4, 1, 28, 28))),
    "Sigmoids": ("NC102", lambda: (strangers.Sigmoids(), (8, 1, 28, 28))),
    "SigmoidCNN": ("NC102", lambda: (strangers.SigmoidCNN(), (4, 3, 32, 32))),
    "Autoencoder": ("NC102", lambda: (strangers.Autoencoder(), (8, 784))),
    "TextSigmoid": ("NC102", lambda: (strangers.TextSigmoid(), words(20))),
    "VGG": ("NC301", lambda: (strangers.VGG(), (4, 3, 32, 32))),
    "DeepQ": ("NC301", lambda: (strangers.DeepQ(), (8, 8))),
    "Wave": ("NC301", lambda: (strangers.Wave(), (4, 1, 200))),
    "Tagger": ("NC301", lambda: (strangers.Tagger(), words(12))),
    "PlainDeep": ("NC401", lambda: (strangers.PlainDeep(), (4, 3, 16, 16))),
    "LayerNormed": ("NC401", lambda: (strangers.LayerNormed(), (8, 64))),
    "TemporalNormed": ("NC401", lambda: (strangers.TemporalNormed(), (4, 9, 50))),
    "GroupNormed": ("NC401", lambda: (strangers.GroupNormed(), (2, 1, 6, 6, 6))),
    "SmallWeights": ("NC501", lambda: (strangers.SmallWeights(), (8, 20))),
    "LargeWeights": ("NC501", lambda: (strangers.LargeWeights(), (8, 30))),
    "UniformConvs": ("NC501", lambda: (strangers.UniformConvs(), (4, 3, 16, 16))),
    "SmallConv1d": ("NC501", lambda: (strangers.SmallConv1d(), (4, 4, 30))),
}

HEALTHY: dict[str, Build] = {
    "three ReLU layers": lambda: stack(3, nn.ReLU),
    "two tanh layers": lambda: stack(2, nn.Tanh),
    "one sigmoid layer": lambda: stack(1, nn.Sigmoid),
    "eight convolutions with norms": lambda: images(8, norm=True),
    "ten residual blocks, tanh": lambda: blocks(10, nn.Tanh),
    "ten residual blocks, GELU": lambda: blocks(10, nn.GELU),
    "eight ReLU layers at their own gain": lambda: stack(8, nn.ReLU, gain=2**0.5),
    "thirty SELU layers at their own gain": lambda: stack(30, nn.SELU, gain=1.0),
    "four tanh layers at their own gain": lambda: stack(4, nn.Tanh, gain=5 / 3),
    "nine ReLU layers with norms": lambda: stack(9, nn.ReLU, between=lambda: nn.BatchNorm1d(64)),
    "PolicyTanh": lambda: (strangers.PolicyTanh(), (8, 17)),
    "Gated": lambda: (strangers.Gated(), (8, 32)),
    "SmallResNet": lambda: (strangers.SmallResNet(), (4, 3, 16, 16)),
    "BinaryClassifier": lambda: (strangers.BinaryClassifier(), (8, 10)),
    "HeMLP": lambda: (strangers.HeMLP(), (8, 40)),
    "WordCNN": lambda: (strangers.WordCNN(), words(20)),
}


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def checked(build: Build, **options: Any) -> Report:
    model, given = build()
    return netcheck.check(model, given if isinstance(given, Tensor) else torch.randn(given), **options)


@pytest.mark.parametrize("name", NAMED)
def test_a_pattern_is_named_where_it_is(name: str) -> None:
    code, build = NAMED[name]
    report = checked(build, probe=False)
    found = next(one for one in report if one.code == code)
    assert found.evidence.value
    assert found.help
    assert found.locations
    assert [one.code for one in checked(build, probe=False, select=[code])] == [code]
    assert code not in [one.code for one in checked(build, probe=False, ignore=[code])]


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_healthy_has_no_warning(name: str) -> None:
    report = checked(HEALTHY[name])
    assert report.ok, str(report)
    assert not {"NC101", "NC102"} & {one.code for one in report if one.counts}


def test_outside_the_budget_one_finding_names_the_cause_and_the_rest_belongs_to_it() -> None:
    report = checked(lambda: stack(16, nn.Tanh), probe=False)
    main, *rest = report.findings
    assert (main.code, main.severity, main.belongs_to) == ("NC501", Severity.WARNING, "")
    assert {(one.code, one.severity, one.belongs_to) for one in rest} == {
        (code, Severity.INFO, "NC501") for code in ("NC101", "NC301", "NC401")
    }
    text = render([report], colour=False)
    assert "= also: NC101 tanh-stack: 16 Tanh activations in a row, nothing between them; with rectifiers" in text
    assert "info[NC101]" not in text
    whole = render([report], colour=False, verbose=True)
    assert "info[NC101]" in whole
    assert "= belongs to: NC501" in whole
    entries = json.loads(json.dumps(report.to_dict()))["findings"]
    assert [entry["belongs_to"] for entry in entries] == [None, "NC501", "NC501", "NC501"]


def test_inside_the_budget_the_cheapest_to_mend_stands_for_all() -> None:
    report = checked(lambda: stack(6, nn.Tanh), probe=False)
    assert {one.code: one.belongs_to for one in report} == {"NC501": "", "NC101": "NC501", "NC301": "NC501", "NC401": "NC501"}
    assert "6 Tanh activations in a row, nothing between them: costs 1.6 of 3 decades" in [one.message for one in report]
    assert report.exit_code == 0


def test_a_pattern_whose_cause_was_not_looked_for_stands_by_itself() -> None:
    report = checked(lambda: stack(16, nn.Tanh), probe=False, select=["NC101"])
    assert [one.belongs_to for one in report] == ["NC501"]
    assert "info[NC101] tanh-stack: 16 Tanh" in render([report], colour=False)


def test_a_share_that_is_not_measured_is_cleared() -> None:
    report = checked(lambda: stack(5, nn.ReLU))
    assert report.gradients is not None
    found = next(one for one in checked(lambda: stack(5, nn.ReLU), probe=False) if one.code == "NC501")
    lost = patterns.verdict(found, report.gradients, Severity.ERROR)
    kept = patterns.verdict(found, replace(report.gradients, gain=Decades(-0.4)), Severity.ERROR)
    assert (lost.verdict, kept.verdict) == (Verdict.SUSPECTED, Verdict.CLEARED)
    assert "measured gain −0.4" in kept.evidence.text
