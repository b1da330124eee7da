"""NC104: what is an activation on an activation, in whatever style, and what only looks like it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.rules.nonlinearity.stacked_activations import StackedActivations
from tests.rules.checking import findings, net


def around(function):
    """A small net that applies `function` between its two layers."""

    def forward(self, x):
        return self.b(function(self, self.a(x)))

    return net(forward, a=nn.Linear(8, 16), b=nn.Linear(16, 4), act=nn.Tanh(), slope=nn.PReLU())


BAD = {
    "a shared module twice": lambda self, x: self.act(self.act(x)),
    "leaky twice": lambda self, x: F.leaky_relu(F.leaky_relu(x, 0.2), 0.2),
    "PReLU on ELU": lambda self, x: self.slope(F.elu(x)),
    "relu of probabilities": lambda self, x: F.relu(torch.softmax(x, -1)),
    "sigmoid of softmax": lambda self, x: torch.softmax(x, -1).sigmoid(),
    "sigmoid of softplus": lambda self, x: torch.sigmoid(F.softplus(x)),
    "in place": lambda self, x: x.relu_().relu_(),
    "silu written out, on relu": lambda self, x: (lambda y: y * torch.sigmoid(y))(F.relu(x)),
    "through dropout": lambda self, x: torch.tanh(F.dropout(torch.tanh(x), 0.1, self.training)),
    "through a reshape": lambda self, x: F.relu(F.relu(x).view(-1, 4, 4)).flatten(1),
    "maximum with zero": lambda self, x: torch.maximum(F.relu(x), torch.zeros(())),
}

GOOD = {
    "relu6 in two steps": lambda self, x: torch.clamp(F.relu(x), max=6.0),
    "hard swish": lambda self, x: x * F.relu6(x + 3) / 6,
    "attention scores of a graph": lambda self, x: F.softmax(F.leaky_relu(x, 0.2), -1),
    "a gate beside a value": lambda self, x: torch.sigmoid(x) * torch.tanh(x),
    "the cell of an LSTM": lambda self, x: torch.tanh(x[:, :8].sigmoid() * x[:, 8:].tanh()).repeat(1, 2),
    "guarded input": lambda self, x: torch.sigmoid(x.clamp(-10, 10)),
    "positive, then to a power": lambda self, x: (F.relu(x) + 1e-6).sqrt(),
    "a sum of two": lambda self, x: F.relu(F.relu(x[:, :8]) - torch.tanh(x[:, 8:])).repeat(1, 2),
    "log of one plus relu": lambda self, x: torch.log1p(F.relu(x)),
    "with learned scale": lambda self, x: torch.tanh(self.slope.weight * F.relu(x)),
}


@pytest.mark.parametrize("function", BAD.values(), ids=BAD)
def test_an_activation_on_an_activation_is_found(function) -> None:
    (found,) = findings(StackedActivations, around(function), (4, 8))
    assert found.count == 1


@pytest.mark.parametrize("function", GOOD.values(), ids=GOOD)
def test_what_is_one_activation_or_takes_part_in_more_is_left_alone(function) -> None:
    assert findings(StackedActivations, around(function), (4, 8)) == []


def test_the_finding_says_what_comes_of_it() -> None:
    (twice,) = findings(StackedActivations, around(lambda self, x: F.relu(F.relu(x))), (4, 8))
    assert "does nothing" in twice.message
    (squashed,) = findings(StackedActivations, around(lambda self, x: x.sigmoid().sigmoid()), (4, 8))
    assert "between 0.50 and 0.73" in squashed.message
    assert squashed.evidence.value == pytest.approx(0.231, abs=1e-3)
    (halved,) = findings(StackedActivations, around(lambda self, x: F.relu(x).sigmoid()), (4, 8))
    assert halved.evidence.value == pytest.approx(0.5)


def test_a_loop_of_them_is_one_finding() -> None:
    blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.ReLU()) for _ in range(3)]
    (found,) = findings(StackedActivations, nn.Sequential(*blocks), (4, 8))
    assert found.count == 3
