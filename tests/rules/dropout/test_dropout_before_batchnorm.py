"""NC203: which batch normalizations see a dropped signal, and by how much it shifts their variance."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.findings import Severity
from netcheck.rules.dropout.dropout_before_batchnorm import DropoutBeforeBatchnorm, variance_ratio
from tests.rules.checking import findings, net


def joined(join, drop=lambda self, x: self.drop(x), p=0.3):
    """A net that drops from its hidden units, and leads them to a batch normalization by `join`."""

    def forward(self, x):
        x = F.relu(self.a(x))
        return self.norm(join(self, drop(self, x), x))

    return net(forward, a=nn.Linear(8, 16), b=nn.Linear(16, 16), norm=nn.BatchNorm1d(16), drop=nn.Dropout(p))


BAD = {
    "directly": joined(lambda self, dropped, x: dropped),
    "alpha": joined(lambda self, dropped, x: dropped, lambda self, x: F.alpha_dropout(x, 0.3, self.training)),
    "through a sum": joined(lambda self, dropped, x: x + self.b(dropped)),
    "through pooling": joined(lambda self, dropped, x: F.max_pool1d(dropped.repeat(1, 2)[:, None], 2)[:, 0]),
    "through two layers": joined(lambda self, dropped, x: self.b(F.gelu(self.b(dropped)))),
    "functional norm": joined(
        lambda self, dropped, x: F.batch_norm(dropped, self.norm.running_mean, self.norm.running_var, training=True)
    ),
}
GOOD = {
    "after it": nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4)),
    "instance norm between": nn.Sequential(nn.Dropout(0.5), nn.LayerNorm(8), nn.Linear(8, 4), nn.BatchNorm1d(4)),
    "not on the way": joined(lambda self, dropped, x: x),
    "functional, switched off": joined(lambda self, dropped, x: dropped, lambda self, x: F.dropout(x, 0.5, False)),
    "whole samples": joined(
        lambda self, dropped, x: x + dropped,
        lambda self, x: x * torch.bernoulli(torch.full((x.shape[0], 1), 0.8)) / 0.8,
    ),
    "no batch normalization": nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 4)),
}


@pytest.mark.parametrize("model", BAD.values(), ids=BAD)
def test_a_batch_normalization_of_a_dropped_signal_is_a_warning(model: nn.Module) -> None:
    (found,) = findings(DropoutBeforeBatchnorm, model, (4, 8))
    assert found.severity is Severity.WARNING
    assert found.evidence.value == pytest.approx(1.63, abs=0.01)


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_what_a_batch_normalization_does_not_see_is_left_alone(model: nn.Module) -> None:
    assert findings(DropoutBeforeBatchnorm, model, (4, 8)) == []


def test_a_small_rate_is_info() -> None:
    (found,) = findings(DropoutBeforeBatchnorm, joined(lambda self, dropped, x: dropped, p=0.1), (4, 8))
    assert found.severity is Severity.INFO


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
def test_the_ratio_is_what_a_layer_measures(p: float) -> None:
    torch.manual_seed(0)
    units, layer = F.relu(torch.randn(4000, 512)), nn.Linear(512, 256, bias=False)
    with torch.no_grad():
        measured = layer(F.dropout(units, p)).var(0).mean() / layer(units).var(0).mean()
    assert float(measured) == pytest.approx(variance_ratio(p), rel=0.03)


def test_in_the_head_of_a_dense_classifier_it_is_info() -> None:
    head = [nn.Dropout(0.5), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)]
    (dense,) = findings(DropoutBeforeBatchnorm, nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), *head), (2, 3, 8, 8))
    assert dense.severity is Severity.INFO
    pooled = [nn.Conv2d(3, 8, 3), nn.ReLU(), *head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)]
    (vector,) = findings(DropoutBeforeBatchnorm, nn.Sequential(*pooled), (2, 3, 8, 8))
    assert vector.severity is Severity.WARNING
