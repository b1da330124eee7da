"""NC908: what reads the dimension that a layer takes for the batch, behind what leaves it whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.rules.wiring.batch_as_time import BatchAsTime
from tests.rules.checking import findings, net


def behind(read, *, first=False, **members):
    """A net that does `read` to all states of an LSTM, whose batch comes first or second."""
    layer = nn.LSTM(5, 6, batch_first=first)
    return net(lambda self, x: read(self, self.layer(x)[0]), layer=layer, **members)


BAD = {
    "pooled behind a transposition": behind(lambda self, h: F.adaptive_avg_pool1d(h.transpose(1, 2), 1).squeeze(-1)),
    "pooled by a module": behind(lambda self, h: self.pool(h.permute(0, 2, 1)).flatten(1), pool=nn.AdaptiveMaxPool1d(1)),
    "pooled in windows, behind an activation": behind(lambda self, h: F.max_pool1d(torch.tanh(h.swapaxes(1, 2)), 2)),
    "convolved": behind(lambda self, h: self.conv(h.transpose(-1, -2)), conv=nn.Conv1d(6, 6, 3)),
    "behind two transpositions": behind(lambda self, h: self.head(h.mT.transpose(1, 2)[:, -1]), head=nn.Linear(6, 2)),
    "averaged over the last dimension": behind(lambda self, h: self.head(h.transpose(1, 2).mean(-1)), head=nn.Linear(6, 2)),
    "steps looked for in front": behind(lambda self, h: self.head(h.permute(1, 2, 0).mean(2)), first=True, head=nn.Linear(6, 2)),
    "the last of the largest": behind(lambda self, h: self.norm(h.transpose(1, 2)).amax(dim=2), norm=nn.BatchNorm1d(6)),
}
GOOD = {
    "batch first, pooled behind a transposition": behind(
        lambda self, h: F.adaptive_avg_pool1d(h.transpose(1, 2), 1).squeeze(-1), first=True
    ),
    "steps first, brought behind": behind(lambda self, h: F.adaptive_avg_pool1d(h.permute(1, 2, 0), 1).squeeze(-1)),
    "steps first, swapped twice": behind(lambda self, h: self.conv(h.transpose(0, 1).transpose(1, 2)), conv=nn.Conv1d(6, 6, 3)),
    "features averaged": behind(lambda self, h: h.transpose(1, 2).mean(1)),
    "transposed and put back": behind(lambda self, h: h.transpose(1, 2).relu().transpose(1, 2)[-1]),
    "features pooled": behind(lambda self, h: F.avg_pool1d(h, 2)),
    "samples and steps mixed by a reshape": behind(lambda self, h: h.transpose(1, 2).reshape(2, -1, 4).mean(2)),
    "all of one length": behind(lambda self, h: self.head(h.transpose(1, 2)), head=nn.Linear(4, 4)),
}


@pytest.mark.parametrize("model", BAD.values(), ids=BAD)
def test_a_batch_that_is_read_as_time_is_one_finding(model: nn.Module) -> None:
    (found,) = findings(BatchAsTime, model, (7, 4, 5))
    assert "one of the two takes the batch for time" in found.message


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_other_dimensions_may_be_read(model: nn.Module) -> None:
    assert findings(BatchAsTime, model, (7, 4, 5)) == []


def test_the_message_names_the_dimension_of_the_layers_result() -> None:
    (found,) = findings(BatchAsTime, BAD["pooled by a module"], (7, 4, 5))
    assert found.message == (
        "nn.LSTM runs over dimension 0, and nn.AdaptiveMaxPool1d pools over dimension 1 of its result: one of the two takes "
        "the batch for time"
    )
