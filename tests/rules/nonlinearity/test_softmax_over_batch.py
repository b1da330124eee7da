"""NC109: which dimension is the batch, through everything that forward does to it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity
from netcheck.rules.nonlinearity.softmax_over_batch import SoftmaxOverBatch
from netcheck.trace import trace
from netcheck.trace.kinds import Kind
from tests.rules.checking import findings, net


def scored(function, n_out=4):
    """A net that applies `function` to the scores of a linear layer, and to its input."""
    return net(lambda self, x: function(self.score(x), x), score=nn.Linear(16, n_out))


def written(z, dim):
    """A softmax as a person writes it out, kept from overflowing."""
    e = torch.exp(z - z.max(dim, keepdim=True).values)
    return e / e.sum(dim, keepdim=True)


BAD = {
    "written out": (scored(lambda s, x: s.exp() / s.exp().sum(0)), (8, 16)),
    "written out, kept from overflowing": (scored(lambda s, x: written(s, 0)), (8, 16)),
    "written out, with an epsilon": (scored(lambda s, x: s.exp().div(s.exp().sum(dim=0, keepdim=True) + 1e-8)), (8, 16)),
    "its logarithm written out": (scored(lambda s, x: s - s.logsumexp(0)), (8, 16)),
    "its logarithm, by parts": (scored(lambda s, x: torch.log(written(s, 0))), (8, 16)),
    "method": (scored(lambda s, x: s.softmax(0)), (8, 16)),
    "through a view": (scored(lambda s, x: torch.softmax(s.view(s.shape[0], 2, 2), 0).flatten(1)), (8, 16)),
    "after a sum over steps": (scored(lambda s, x: torch.softmax(s.sum(1), 0)), (8, 5, 16)),
    "beside the features": (scored(lambda s, x: torch.cat([x, F.softmax(s, 0)], 1)), (8, 16)),
    "gumbel": (scored(lambda s, x: F.gumbel_softmax(s, dim=0)), (8, 16)),
    "inner dimensions swapped": (scored(lambda s, x: s.transpose(1, 2).softmax(0)), (8, 5, 16)),
    "of images": (net(lambda self, x: F.softmax(self.conv(x), dim=0), conv=nn.Conv2d(3, 4, 3)), (4, 3, 8, 8)),
    "of tokens": (
        net(lambda self, x: F.softmax(self.embed(x).mean(1), 0), embed=nn.Embedding(9, 4)),
        torch.zeros(4, 7, dtype=torch.long),
    ),
}
GOOD = {
    "the last, written out": (scored(lambda s, x: written(s, -1)), (8, 16)),
    "the last, its logarithm written out": (scored(lambda s, x: s - s.logsumexp(1, keepdim=True)), (8, 16)),
    "a bag, pooled by what is written out": (scored(lambda s, x: (written(s, 0) * x).sum(0), 1), (8, 16)),
    "a share of the batch, of no exponentials": (scored(lambda s, x: s.abs() / s.abs().sum(0)), (8, 16)),
    "a temperature for each class, no softmax": (scored(lambda s, x: s.exp() / (1 + s.exp().sum(1, keepdim=True))), (8, 16)),
    "centred over the batch": (scored(lambda s, x: s - s.mean(0)), (8, 16)),
    "the last": (scored(lambda s, x: s.softmax(-1)), (8, 16)),
    "a bag, pooled by a product": (scored(lambda s, x: s.softmax(0).T @ x, 1), (8, 16)),
    "a bag, pooled by a sum": (scored(lambda s, x: (s.softmax(0) * x).sum(0), 1), (8, 16)),
    "one sample": (scored(lambda s, x: s.softmax(0)), (16,)),
    "steps first, by hand": (scored(lambda s, x: s.transpose(0, 1).softmax(0).transpose(0, 1)), (8, 5, 16)),
    "all tokens of the batch": (scored(lambda s, x: s.view(-1, 4).softmax(0).sum(0)), (8, 5, 16)),
    "between samples": (scored(lambda s, x: (s @ s.t()).softmax(0)), (8, 16)),
}


@pytest.mark.parametrize(("model", "inputs"), BAD.values(), ids=BAD)
def test_a_softmax_over_the_batch_is_a_warning(model, inputs) -> None:
    found = findings(SoftmaxOverBatch, model, inputs)
    assert [each.severity for each in found] == [Severity.WARNING]


@pytest.mark.parametrize(("model", "inputs"), GOOD.values(), ids=GOOD)
def test_other_dimensions_are_left_alone(model, inputs) -> None:
    assert findings(SoftmaxOverBatch, model, inputs) == []


@pytest.mark.filterwarnings("ignore:Implicit dimension")
def test_an_unnamed_dimension_is_judged_by_what_pytorch_takes() -> None:
    (by_luck,) = findings(SoftmaxOverBatch, scored(lambda s, x: F.softmax(s)), (8, 16))
    assert by_luck.severity is Severity.INFO
    (wrong,) = findings(SoftmaxOverBatch, scored(lambda s, x: F.softmax(s)), (8, 5, 16))
    assert wrong.severity is Severity.WARNING
    assert "without `dim`" in wrong.message


def test_modules_that_put_time_first_say_what_the_first_dimension_is() -> None:
    def forward(self, x):
        states, _ = self.recurrent(x)
        return states * torch.softmax(self.score(states), 0)

    members = {"score": nn.Linear(8, 1)}
    first = net(forward, recurrent=nn.LSTM(16, 8), **members)
    last = net(forward, recurrent=nn.LSTM(16, 8, batch_first=True), **members)
    assert findings(SoftmaxOverBatch, first, (5, 8, 16)) == []
    assert findings(SoftmaxOverBatch, last, (8, 5, 16)) != []


def test_a_dimension_that_is_not_there_is_not_taken_for_the_batch() -> None:
    from netcheck.trace.questions import softmax_dimension

    graph = trace(scored(lambda z, x: z.softmax(1)), (torch.randn(2, 16),))
    (node,) = (node for node in graph if node.kind is Kind.SOFTMAX)
    assert softmax_dimension.dimension(node) == 1
    node.fx.args = (node.fx.args[0], 2)  # as it is where torch's fake tensors do not look at it
    assert softmax_dimension.dimension(node) is None
