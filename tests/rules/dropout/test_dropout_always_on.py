"""NC202: dropout in evaluation mode, in every way that people write it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity
from netcheck.rules.dropout.dropout_always_on import DropoutAlwaysOn
from netcheck.trace import trace
from tests.rules.checking import findings, net


def between(function, **members):
    """A net that applies `function` to its hidden units."""
    return net(
        lambda self, x: self.b(function(self, torch.relu(self.a(x)))),
        a=nn.Linear(8, 16),
        b=nn.Linear(16, 4),
        **members,
    )


class Stubborn(nn.Module):
    """Freezes itself in training mode."""

    def __init__(self):
        super().__init__()
        self.layer, self.drop = nn.Linear(8, 4), nn.Dropout(0.5)

    def train(self, mode=True):
        return super().train(True)

    def forward(self, x):
        return self.drop(self.layer(x))


class MonteCarlo(Stubborn):
    """Samples predictions by Monte Carlo dropout."""


def switched_on_in_forward(self, x):
    self.drop.train()
    return self.drop(x)


BAD = {
    "its switch turned round": between(lambda self, x: F.dropout(x, 0.5, not self.training)),
    "a method of torch": between(lambda self, x: torch.dropout(x, 0.5, train=True)),
    "channels": between(lambda self, x: F.dropout1d(x[..., None], 0.3)[..., 0]),
    "in place, through a helper": between(lambda self, x: (lambda y: F.dropout(y, inplace=True))(x)),
    "alpha, told to": between(lambda self, x: F.alpha_dropout(x, 0.2, True)),
    "a dict of modules": between(lambda self, x: self.drops["a"](x), drops={"a": nn.Dropout(0.1)}),
    "bernoulli": between(lambda self, x: x * torch.bernoulli(torch.full_like(x, 0.9))),
    "masked_fill": between(lambda self, x: x.masked_fill(torch.rand_like(x) < 0.1, 0.0)),
    "where": between(lambda self, x: torch.where(torch.rand(x.shape) < 0.1, torch.zeros(()), x)),
    "switched on in forward": between(switched_on_in_forward, drop=nn.Dropout(0.1)),
    "overridden train": Stubborn(),
    "attention built in forward": net(
        lambda self, x: (
            nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)(x[:, None], x[:, None], x[:, None])[0] + self.a(x)[:, None]
        ),
        a=nn.Linear(8, 8),
    ),
}
GOOD = {
    "off for good": between(lambda self, x: F.dropout(x, 0.5, False)),
    "a rate of zero": between(lambda self, x: F.dropout(x, 0.0)),
    "off by default": between(lambda self, x: F.alpha_dropout(x, 0.2)),
    "told the mode": between(lambda self, x: torch.dropout(x, 0.5, self.training)),
    "a list of registered modules": between(
        lambda self, x: nn.Sequential(*self.drops)(x), drops=nn.ModuleList([nn.Dropout(0.1)])
    ),
    "a module in a container built in forward": between(lambda self, x: nn.Sequential(self.drop)(x), drop=nn.Dropout()),
    "gaussian noise": between(lambda self, x: x + 0.1 * torch.randn_like(x)),
    "the mode of the parent": between(lambda self, x: self.drop(x) if self.training else x, drop=nn.Dropout(0.5)),
    "the result is not used": between(lambda self, x: (F.dropout(x), x)[1]),
    "drop path that asks": between(
        lambda self, x: x * (torch.rand(x.shape[0], 1) > 0.1) if self.training else x,
    ),
}


@pytest.mark.parametrize("model", BAD.values(), ids=BAD)
@pytest.mark.parametrize("training", [True, False], ids=["given in train", "given in eval"])
def test_dropout_that_stays_on_is_a_warning(model: nn.Module, training: bool) -> None:
    (found,) = findings(DropoutAlwaysOn, nn.Sequential(model).train(training), (4, 8))
    assert found.severity is Severity.WARNING
    assert "eval()" in found.message


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("training", [True, False], ids=["given in train", "given in eval"])
def test_dropout_that_eval_switches_off_is_left_alone(model: nn.Module, training: bool) -> None:
    assert findings(DropoutAlwaysOn, model.train(training), (4, 8)) == []


def test_monte_carlo_dropout_that_says_so_is_info() -> None:
    (found,) = findings(DropoutAlwaysOn, MonteCarlo(), (4, 8))
    assert found.severity is Severity.INFO


def test_each_way_is_a_finding_of_its_own() -> None:
    model = between(lambda self, x: F.dropout(nn.Dropout(0.1)(F.dropout(x, 0.2)), 0.3))
    by_function, built = sorted(findings(DropoutAlwaysOn, model, (4, 8)), key=lambda each: -each.count)
    assert (by_function.count, by_function.evidence.value) == (2, 0.3)
    assert "built in forward" in built.message


def test_registered_modules_are_not_recorded_twice() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.1))
    graph = trace(model, (torch.randn(4, 8),))
    assert list(DropoutAlwaysOn().check(graph)) == []
    assert graph._in_mode == {}


@pytest.mark.parametrize("training", [True, False], ids=["given in train", "given in eval"])
def test_a_switch_turned_round_is_said_to_be(training: bool) -> None:
    (found,) = findings(DropoutAlwaysOn, BAD["its switch turned round"].train(training), (4, 8))
    assert found.message.endswith("F.dropout is off in training and on in evaluation, its switch turned round")
    assert found.evidence.value == 0.5
