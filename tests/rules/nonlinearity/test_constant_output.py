"""NC108: what is constant because a layer has one unit, and what only is on this example."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity, Verdict
from netcheck.rules.nonlinearity.constant_output import ConstantOutput
from tests.rules.checking import findings, net


def after(layer, function):
    """A net that applies `function` to what `layer` makes, and returns that."""
    return net(lambda self, x: function(self.layer(x)), layer=layer)


BAD = {
    "method": (after(nn.Linear(8, 1), lambda x: x.softmax(-1)), (4, 8)),
    "scaled first": (after(nn.Linear(8, 1), lambda x: torch.softmax(x / 3, 1)), (4, 8)),
    "squeezed and back": (after(nn.Linear(8, 1), lambda x: x.squeeze().view(-1, 1).softmax(1)), (4, 8)),
    "volumes": (after(nn.Conv3d(2, 1, 3), lambda x: F.softmin(x, dim=1)), (2, 2, 8, 8, 8)),
    "a matrix of one column": (
        net(lambda self, x: F.log_softmax(x @ self.w, -1), w=nn.Parameter(torch.randn(8, 1))),
        (4, 8),
    ),
    "rms": (nn.Sequential(nn.Linear(8, 1), nn.RMSNorm(1)), (4, 8)),
    "over two dimensions of one": (
        after(nn.Linear(8, 3), lambda x: F.layer_norm(x[..., None, None], (1, 1))),
        (4, 8),
    ),
}
GOOD = {
    "over positions": (after(nn.Linear(8, 1), lambda x: x.softmax(1)), (4, 6, 8)),
    "over one position": (after(nn.Linear(8, 1), lambda x: x.softmax(1)), (4, 1, 8)),
    "one pixel": (after(nn.Conv2d(3, 4, 3), lambda x: x.flatten(2).softmax(2)), (2, 3, 3, 3)),
    "one key": (after(nn.Linear(8, 8), lambda x: (x @ x.transpose(1, 2)).softmax(-1) @ x), (2, 1, 8)),
    "a sum of two": (after(nn.Linear(8, 2), lambda x: x.softmax(1)), (4, 8)),
    "a unit vector": (after(nn.Linear(8, 4), lambda x: F.normalize(x, dim=1)), (4, 8)),
    "unit vectors over positions": (after(nn.Linear(8, 1), lambda x: F.normalize(x, dim=1)), (4, 6, 8)),
    "a layer norm over a map of one pixel": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm((4, 1, 1))),
        (2, 3, 3, 3),
    ),
}


@pytest.mark.parametrize(("model", "shape"), BAD.values(), ids=BAD)
def test_what_is_always_one_value_is_an_error(model, shape) -> None:
    (found,) = findings(ConstantOutput, model, shape)
    assert (found.severity, found.verdict) == (Severity.ERROR, Verdict.CONFIRMED)


@pytest.mark.parametrize(("model", "shape"), BAD.values(), ids=BAD)
def test_no_gradient_passes_indeed(model, shape) -> None:
    model = copy.deepcopy(model).double()
    model(torch.randn(shape, dtype=torch.float64)).pow(3).sum().backward()
    assert all(parameter.grad.abs().max() < 1e-3 for parameter in model.parameters() if parameter.dim() > 1)


@pytest.mark.parametrize(("model", "shape"), GOOD.values(), ids=GOOD)
def test_what_depends_on_the_input_is_left_alone(model, shape) -> None:
    assert findings(ConstantOutput, model, shape) == []
