"""NC205: dropout on predictions, and on what is none."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity
from netcheck.rules.dropout.dropout_on_output import DropoutOnOutput
from tests.rules.checking import findings, net


def head(function, layer=None):
    """A small classifier whose forward ends in `function`."""
    return net(
        lambda self, x: function(self.b(torch.tanh(self.a(x))), self.drop),
        a=nn.Linear(8, 32),
        b=layer or nn.Linear(32, 4),
        drop=nn.Dropout(0.5),
    )


BAD = {
    "module": head(lambda x, drop: drop(x)),
    "function, in place": head(lambda x, drop: F.dropout(x, 0.2, True, True)),
    "then relu": head(lambda x, drop: F.relu(drop(x))),
    "then squeezed": head(lambda x, drop: drop(x).squeeze(1), nn.Linear(32, 1)),
    "then scaled": head(lambda x, drop: 10 * drop(x) + 1),
    "after a reshape": head(lambda x, drop: drop(x.view(-1, 2, 2)).flatten(1)),
    "in a list of results": head(lambda x, drop: [x.mean(), drop(x)]),
    "twice": head(lambda x, drop: drop(drop(x))),
}
GOOD = {
    "before the last layer": nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4)),
    "rectified features": head(lambda x, drop: drop(F.relu(x))),
    "a sum with the rest": head(lambda x, drop: drop(x) + x),
    "switched off": head(lambda x, drop: F.dropout(x, 0.5, False)),
    "normalized": head(lambda x, drop: F.layer_norm(drop(x), (4,))),
    "of the input's shape": head(lambda x, drop: drop(x), nn.Linear(32, 8)),
    "not returned": head(lambda x, drop: (drop(x), x)[1]),
}


@pytest.mark.parametrize("model", BAD.values(), ids=BAD)
def test_dropped_predictions_are_a_warning(model: nn.Module) -> None:
    (found,) = findings(DropoutOnOutput, model, (4, 8))
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_what_is_no_dropped_prediction_is_left_alone(model: nn.Module) -> None:
    assert findings(DropoutOnOutput, model, (4, 8)) == []


def test_dropped_tokens_may_be_features() -> None:
    (found,) = findings(DropoutOnOutput, nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.1)), (4, 5, 8))
    assert found.severity is Severity.INFO
