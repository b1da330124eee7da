"""NC204: rates of modules, functions, attention and recurrent nets."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity
from netcheck.rules.dropout.dropout_rate import DropoutRate
from tests.rules.checking import findings, net


def function(drop):
    """A net that applies `drop` to its hidden maps."""
    return net(lambda self, x: drop(self, F.relu(self.conv(x))), conv=nn.Conv2d(3, 8, 3))


def attention(p):
    def forward(self, x):
        x = x.flatten(2)
        return self.layer(x, x, x)[0]

    return net(forward, layer=nn.MultiheadAttention(36, 4, dropout=p, batch_first=True))


ERROR = {
    "module": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout(1.0)),
    "function": function(lambda self, x: F.dropout(x, p=1, training=self.training)),
    "whole channels": function(lambda self, x: F.dropout2d(x, 1.0)),
}
WARNING = {
    "module": nn.Sequential(nn.Conv2d(3, 64, 3), nn.Dropout2d(0.8)),
    "method of torch": function(lambda self, x: torch.dropout(x, 0.95, self.training)),
    "attention module": attention(0.9),
    "alpha": function(lambda self, x: F.alpha_dropout(x, 0.9, self.training)),
    "half of eight channels": function(lambda self, x: F.dropout2d(x, training=self.training)),
    "gated recurrent": net(
        lambda self, x: self.layer(x.flatten(2))[0],
        layer=nn.GRU(36, 8, num_layers=3, dropout=0.9, batch_first=True),
    ),
}
GOOD = {
    "module": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout(0.75)),
    "half of 20 channels": nn.Sequential(nn.Conv2d(3, 20, 3), nn.Dropout2d(0.5)),
    "a quarter of eight channels": function(lambda self, x: F.dropout2d(x, 0.25, self.training)),
    "single elements of eight channels": function(lambda self, x: F.dropout(x, 0.5, self.training)),
    "attention module": attention(0.3),
    "switched off": function(lambda self, x: F.dropout(x, 0.9, training=False)),
    "no effect on the result": function(lambda self, x: (F.dropout(x, 0.9), x)[1]),
}


@pytest.mark.parametrize("model", ERROR.values(), ids=ERROR)
def test_dropping_everything_is_an_error(model: nn.Module) -> None:
    (found,) = findings(DropoutRate, model, (2, 3, 6, 6))
    assert (found.severity, found.evidence.value) == (Severity.ERROR, 1.0)


@pytest.mark.parametrize("model", WARNING.values(), ids=WARNING)
@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
def test_leaving_almost_nothing_is_a_warning(model: nn.Module) -> None:
    (found,) = findings(DropoutRate, model, (2, 3, 6, 6))
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_usual_rates_are_left_alone(model: nn.Module) -> None:
    assert findings(DropoutRate, model, (2, 3, 6, 6)) == []


@pytest.mark.filterwarnings("ignore:dropout option adds dropout")
def test_a_recurrent_net_of_one_layer_drops_nothing() -> None:
    model = net(lambda self, x: self.layer(x)[0], layer=nn.LSTM(8, 8, dropout=0.9, batch_first=True))
    assert findings(DropoutRate, model, (2, 5, 8)) == []
