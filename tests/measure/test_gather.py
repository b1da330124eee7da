"""What nn.DataParallel gathers, against torch's own gather, which runs on any tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from netcheck.figures.batches import mean_of_means
from netcheck.measure.gather import gathered
from netcheck.trace import trace
from tests.trace.replay import module


def net(result: Any) -> nn.Module:
    return module(lambda self, x: result(*self.gru(x)), gru=nn.GRU(4, 8, 2, batch_first=True))


def joined(shares: list[Any]) -> Any:
    """What gather gives on the CPU: its rules, with torch.cat in the place of the transfer."""
    first = shares[0]
    if isinstance(first, torch.Tensor):
        if all(not share.dim() for share in shares):
            return torch.stack(shares)
        return torch.cat(shares)
    if isinstance(first, dict):
        return {key: joined([share[key] for share in shares]) for key in first}
    return type(first)(map(joined, zip(*shares, strict=True)))


RESULTS = {
    "the batch first": (lambda y, h: y, 0),
    "a state": (lambda y, h: (y, h), 1),
    "a mapping": (lambda y, h: {"y": y, "h": h}, 1),
    "a loss": (lambda y, h: {"y": y, "loss": y.mean()}, 1),
    "a table": (lambda y, h: [y, torch.ones(3, 5)], 1),
}


@pytest.mark.parametrize("name", RESULTS)
def test_shapes_are_those_that_torch_gathers(name: str) -> None:
    result, wrong = RESULTS[name]
    model, x = net(result), torch.randn(8, 5, 4)
    found = gathered(trace(model, (x,)), trace(model, (torch.randn(16, 5, 4),)), 2)
    assert len(found) == wrong
    together = joined([model(x[:4]), model(x[4:])])
    for each in found:
        value = eval(f"together{each.path}", {"together": together})
        assert each.result == tuple(value.shape)


@pytest.mark.parametrize("value", [5, 0.5, "text", True])
def test_what_is_no_tensor_is_refused_as_torch_does(value: Any) -> None:
    model, x = net(lambda y, h: {"y": y, "other": value}), torch.randn(8, 5, 4)
    (found,) = gathered(trace(model, (x,)), trace(model, (torch.randn(16, 5, 4),)), 2)
    assert found.path == "['other']"
    assert found.why.startswith(f"a {type(value).__name__}")
    if not isinstance(value, str):
        with pytest.raises(TypeError):
            joined([{"other": value}, {"other": value}])


def test_nothing_is_left_as_it_is() -> None:
    model, x = net(lambda y, h: (y, None)), torch.randn(8, 5, 4)
    assert gathered(trace(model, (x,)), trace(model, (torch.randn(16, 5, 4),)), 2) == ()


def test_a_mean_of_means_is_off_by_what_independent_gradients_say() -> None:
    torch.manual_seed(0)
    sizes = [7, 7, 7, 7, 4]
    samples = torch.randn(32, 20000, dtype=torch.float64)
    whole = samples.mean(0)
    means = torch.stack([share.mean(0) for share in samples.split(sizes)]).mean(0)
    assert mean_of_means(sizes) == pytest.approx(float((means - whole).norm() / whole.norm()), rel=0.02)
    assert mean_of_means([8, 8]) == 0
