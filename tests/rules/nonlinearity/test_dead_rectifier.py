"""NC105: units that no sample switches on, by sign or by bias, and those that only look like it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity, Verdict
from netcheck.rules.nonlinearity.dead_rectifier import DeadRectifier
from tests.rules.checking import findings, net


def rectified(before, **members):
    """A net that rectifies what `before` makes of the first layer's output."""

    def forward(self, x):
        return self.b(F.relu(before(self, self.a(x))))

    return net(forward, a=nn.Linear(8, 16), b=nn.Linear(16, 4), **members)


def biased(bias, activation=nn.ReLU, layers=1):
    model = nn.Sequential(nn.Linear(8, 16), activation(), nn.Linear(16, 4))
    nn.init.constant_(model[0].bias, bias)
    return model


def batch_norm(scale, shift):
    norm = nn.BatchNorm1d(16)
    nn.init.constant_(norm.weight, scale)
    nn.init.constant_(norm.bias, shift)
    return rectified(lambda self, x: self.norm(x), norm=norm)


def convolution_in_a_functional_net():
    def forward(self, x):
        return F.relu6(F.conv2d(x, self.weight, self.bias)).mean((2, 3))

    weight = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.1)
    return net(forward, weight=weight, bias=nn.Parameter(torch.full((8,), -20.0)))


PROVEN = {
    "minus a square": lambda: rectified(lambda self, x: -x.square()),
    "minus a sigmoid, pooled and reshaped": lambda: rectified(lambda self, x: -F.max_pool1d(torch.sigmoid(x)[:, None], 1)[:, 0]),
    "the log of a sigmoid": lambda: rectified(lambda self, x: F.logsigmoid(x)),
    "what a clamp leaves": lambda: rectified(lambda self, x: x.clamp(max=0)),
    "a softmax minus one": lambda: rectified(lambda self, x: torch.softmax(x, 1) - 1),
    "a threshold above the range": lambda: rectified(lambda self, x: F.threshold(torch.tanh(x), 2.0, 0.0)),
    "tanh, doubled, under three": lambda: rectified(lambda self, x: 2 * torch.tanh(x) - 3),
}
SUSPECTED = {
    "a bias of -10": lambda: biased(-10.0),
    "a bias of -10 before relu6": lambda: biased(-10.0, nn.ReLU6),
    "functional convolution": convolution_in_a_functional_net,
    "a norm shifted by -5": lambda: batch_norm(1.0, -5.0),
    "a norm scaled by 0": lambda: batch_norm(0.0, 0.0),
    "a margin": lambda: rectified(lambda self, x: F.layer_norm(x, (16,)) - 6),
}
GOOD = {
    "a bias of zero": lambda: biased(0.0),
    "a bias of -0.3": lambda: biased(-0.3),
    "a positive bias": lambda: biased(10.0),
    "gelu comes back": lambda: biased(-10.0, nn.GELU),
    "elu comes back": lambda: biased(-10.0, nn.ELU),
    "a sigmoid gate is no rectifier": lambda: biased(-10.0, nn.Sigmoid),
    "a norm shifted by -1": lambda: batch_norm(1.0, -1.0),
    "minus a linear value": lambda: rectified(lambda self, x: -x),
    "one minus relu": lambda: rectified(lambda self, x: 1 - F.relu(x)),
    "log of a probability, plus two": lambda: rectified(lambda self, x: F.log_softmax(x, 1) + 2),
    "minus tanh": lambda: rectified(lambda self, x: -torch.tanh(x)),
    "half of the units": lambda: half_of_the_units(),
}


def half_of_the_units():
    model = biased(0.0)
    with torch.no_grad():
        model[0].bias[:8] = -20.0
    return model


@pytest.mark.parametrize("build", PROVEN.values(), ids=PROVEN)
def test_a_sign_proves_it(build) -> None:
    found = findings(DeadRectifier, build(), (4, 8))
    assert [(each.severity, each.verdict) for each in found] == [(Severity.ERROR, Verdict.CONFIRMED)]


@pytest.mark.parametrize("build", SUSPECTED.values(), ids=SUSPECTED)
def test_a_bias_makes_it_likely(build) -> None:
    torch.manual_seed(0)
    model = build()
    found = findings(DeadRectifier, model, (4, 3, 8, 8) if hasattr(model, "weight") else (4, 8))
    assert [(each.severity, each.verdict) for each in found] == [(Severity.ERROR, Verdict.SUSPECTED)]


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD)
def test_units_that_some_sample_switches_on_are_left_alone(build) -> None:
    torch.manual_seed(0)
    assert findings(DeadRectifier, build(), (4, 8)) == []


def test_most_units_are_a_warning_with_their_share() -> None:
    model = biased(0.0)
    with torch.no_grad():
        model[0].bias[:12] = -20.0
    (found,) = findings(DeadRectifier, model, (4, 8))
    assert found.severity is Severity.WARNING
    assert found.evidence.value == pytest.approx(0.75)


def test_the_units_said_to_be_dead_are() -> None:
    torch.manual_seed(0)
    model = biased(-6.0)
    assert findings(DeadRectifier, model, (4, 8))
    assert not model[1](model[0](torch.randn(10_000, 8))).any()
