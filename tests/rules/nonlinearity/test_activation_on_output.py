"""NC106: rectified logits in several styles, and results that are meant as they are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity
from netcheck.rules.nonlinearity.activation_on_output import ActivationOnOutput
from tests.rules.checking import findings, net


def head(function, n_out=10):
    """A small classifier whose forward ends in `function`."""
    return net(lambda self, x: function(self.b(torch.tanh(self.a(x)))), a=nn.Linear(8, 32), b=nn.Linear(32, n_out))


BAD = {
    "in place": lambda: head(lambda x: x.relu_()),
    "as a method": lambda: head(lambda x: x.clamp_min(0)),
    "silu written out": lambda: head(lambda x: x * torch.sigmoid(x)),
    "flattened after": lambda: head(lambda x: F.relu(x).view(-1)),
    "dropout between": lambda: head(lambda x: F.relu(F.dropout(x, 0.1))),
    "leaky on one output": lambda: head(F.leaky_relu, 1),
    "before a log_softmax": lambda: head(lambda x: F.log_softmax(F.relu(x), 1)),
    "with other results": lambda: head(lambda x: (x.sum(), [F.relu(x)])),
}
GOOD = {
    "sigmoid": lambda: head(torch.sigmoid),
    "relu of one output": lambda: head(F.relu, 1),
    "softplus": lambda: head(F.softplus),
    "exp": lambda: head(torch.exp),
    "logits": lambda: head(lambda x: x),
    "one plus elu, a positive rate": lambda: head(lambda x: 1 + F.elu(x)),
    "relu on a distance": lambda: head(lambda x: F.relu((x[:, :5] - x[:, 5:]).norm(dim=1) - 1)),
    "a loss of margins": lambda: head(lambda x: F.relu(1 - x).mean()),
    "relu inside, not on the result": lambda: head(lambda x: F.relu(x).sum(1) - x.sum(1)),
}


@pytest.mark.parametrize("build", BAD.values(), ids=BAD)
def test_rectified_logits_are_info(build) -> None:
    (found,) = findings(ActivationOnOutput, build(), (4, 8))
    assert found.severity is Severity.INFO


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD)
def test_results_that_are_meant_so_are_left_alone(build) -> None:
    assert findings(ActivationOnOutput, build(), (4, 8)) == []


def test_two_rectified_heads_are_one_finding() -> None:
    model = net(lambda self, x: (F.relu(self.b(x)), F.relu(self.c(x))), b=nn.Linear(8, 3), c=nn.Linear(8, 4))
    (found,) = findings(ActivationOnOutput, model, (4, 8))
    assert found.count == 2
