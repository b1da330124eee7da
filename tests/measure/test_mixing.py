"""Which operations mix samples: one table of models, each with the operations that must be named, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.measure.axes import BatchAxes
from netcheck.measure.mixing import UnjudgedError, candidates, find_mixing
from tests.trace.replay import module

MAP, VECTOR, SEQUENCE = (4, 3, 8, 8), (4, 6), (4, 5, 6)


def running(self: Any, x: torch.Tensor) -> torch.Tensor:
    self.mean.lerp_(x.mean(0).detach(), 0.1)
    return x - self.mean


def contrastive(self: Any, x: torch.Tensor) -> torch.Tensor:
    h = F.normalize(self.layer(x), dim=1)
    similarity = h @ h.T / 0.1
    return F.cross_entropy(similarity, torch.arange(len(x)))


def folded(self: Any, x: torch.Tensor) -> torch.Tensor:
    n, t, c = x.shape
    return self.layer(x.view(n * t, c)).relu().view(n, t, c).mean(1)


def folded_behind_time(self: Any, x: torch.Tensor) -> torch.Tensor:
    n, t, c = x.shape
    return self.layer(x.transpose(0, 1).reshape(t * n, c)).view(t, n, c).transpose(0, 1)


def last_token(self: Any, x: torch.Tensor) -> torch.Tensor:
    last = x[:, :, 0].argmax(1)
    return self.layer(x)[torch.arange(x.shape[0]), last]


def mixup(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(0.7 * x + 0.3 * x[torch.randperm(x.size(0))])


def attention_over_batch(self: Any, x: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(x.transpose(0, 1), x.transpose(0, 1), x.transpose(0, 1))


def drop_path(self: Any, x: torch.Tensor) -> torch.Tensor:
    keep = x.new_empty((x.shape[0], 1)).bernoulli_(0.8).div_(0.8)
    return x + self.layer(x) * keep


def drop_path_by_floor(self: Any, x: torch.Tensor) -> torch.Tensor:
    return x + self.layer(x) * (0.8 + torch.rand(x.shape[0], 1)).floor_()


def numpy_mask(self: Any, x: torch.Tensor) -> torch.Tensor:
    keep = torch.from_numpy(np.random.rand(*x.shape) > 0.3)
    return self.layer(x) * keep


def numpy_positions(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x)[torch.from_numpy(np.arange(len(x)))]


def sorted_and_back(self: Any, x: torch.Tensor) -> torch.Tensor:
    order = x[:, 0].argsort()
    return self.layer(x[order])[order.argsort()]


def masked(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x[x[:, 0] > 0])


def masked_mean(self: Any, x: torch.Tensor) -> torch.Tensor:
    return x - x[x[:, 0] > 0].mean(0)


def in_place(self: Any, x: torch.Tensor) -> torch.Tensor:
    y = self.layer(x)
    z = y[:, :3]
    z.mul_(2)
    return y.relu_() + 1


def memory_bank(self: Any, x: torch.Tensor) -> torch.Tensor:
    return self.layer(x) @ self.mean.view(-1, 1)


def tuple_outputs(self: Any, x: torch.Tensor) -> Any:
    values, order = x.sort(dim=0)
    return {"values": values, "more": (order, self.layer(x))}


def pairs(self: Any, x: torch.Tensor) -> torch.Tensor:
    return (x.unsqueeze(0) - x.unsqueeze(1)).square().sum(-1)


def with_class_token(self: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([self.mean.expand(x.shape[0], 1, 6), self.layer(x)], dim=1)


def function(call: Callable[[torch.Tensor], Any]) -> Callable[..., Any]:
    def forward(self: Any, x: torch.Tensor) -> Any:
        return call(self.layer(x))

    return forward


def simple(call: Callable[[torch.Tensor], Any]) -> nn.Module:
    return module(function(call), layer=nn.Linear(6, 6))


def custom(forward: Callable[..., Any]) -> nn.Module:
    model = module(forward, layer=nn.Linear(6, 6))
    model.register_buffer("mean", torch.randn(6))
    return model


class Recurrent(nn.Module):
    def __init__(self, *, batch_first: bool, kind: Any = nn.LSTM) -> None:
        super().__init__()
        self.rnn = kind(6, 8, batch_first=batch_first)

    def forward(self, x: torch.Tensor) -> Any:
        return self.rnn(x)[0]


class Attention(nn.Module):
    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, dropout=0.5, batch_first=batch_first)

    def forward(self, x: torch.Tensor) -> Any:
        return self.attention(x, x, x)[0]


Case = tuple[nn.Module, tuple[int, ...], list[str]]
CASES: dict[str, Case] = {
    "batch norm in training": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), MAP, ["nn.BatchNorm2d"]),
    "batch norm in evaluation": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), MAP, []),
    "batch norm as a function": (simple(lambda x: F.batch_norm(x, None, None, training=True)), VECTOR, ["F.batch_norm"]),
    "two batch norms": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3)), MAP, ["nn.BatchNorm2d"] * 2),
    "layer norm": (nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)), VECTOR, []),
    "layer norm over the batch too": (simple(lambda x: F.layer_norm(x.T, (x.shape[0],)).T), VECTOR, ["F.layer_norm"]),
    "group norm": (nn.GroupNorm(3, 3), MAP, []),
    "instance norm": (nn.InstanceNorm2d(3, affine=True), MAP, []),
    "mean over the batch": (simple(lambda x: x - x.mean(0)), VECTOR, ["Tensor.mean"]),
    "a mean that is the output": (simple(lambda x: x.mean(0)), VECTOR, ["Tensor.mean"]),
    "mean over features": (simple(lambda x: x - x.mean(1, keepdim=True)), VECTOR, []),
    "standard deviation": (simple(lambda x: x / x.std()), VECTOR, ["Tensor.std"]),
    "softmax over the batch": (simple(lambda x: x.softmax(0)), VECTOR, ["Tensor.softmax"]),
    "softmax over classes": (simple(lambda x: x.softmax(-1)), VECTOR, []),
    "logsumexp": (simple(lambda x: x - torch.logsumexp(x, 0)), VECTOR, ["torch.logsumexp"]),
    "h @ h.T": (simple(lambda x: x @ x.T), VECTOR, ["Tensor.matmul"]),
    "einsum over the batch": (simple(lambda x: torch.einsum("nc,nd->cd", x, x)), VECTOR, ["torch.einsum"]),
    "einsum by sample": (simple(lambda x: torch.einsum("nc,nd->ncd", x, x)), VECTOR, []),
    "cdist": (simple(lambda x: torch.cdist(x, x)), VECTOR, ["torch.cdist"]),
    "cumsum": (simple(lambda x: x.cumsum(0)), VECTOR, ["Tensor.cumsum"]),
    "cumsum over features": (simple(lambda x: x.cumsum(1)), VECTOR, []),
    "flip": (simple(lambda x: x.flip(0)), VECTOR, ["Tensor.flip"]),
    "roll": (simple(lambda x: x.roll(1, 0)), VECTOR, ["Tensor.roll"]),
    "roll over features": (simple(lambda x: x.roll(1, 1)), VECTOR, []),
    "sort": (custom(tuple_outputs), VECTOR, ["Tensor.sort"]),
    "topk": (simple(lambda x: x.topk(2, dim=0).values), VECTOR, ["Tensor.topk"]),
    "max-norm": (simple(lambda x: x / x.abs().max()), VECTOR, ["Tensor.max"]),
    "contrastive loss": (custom(contrastive), VECTOR, ["Tensor.matmul"]),
    "LSTM over the batch": (Recurrent(batch_first=False), SEQUENCE, ["nn.LSTM"]),
    "LSTM over time": (Recurrent(batch_first=True), SEQUENCE, []),
    "GRU over time": (Recurrent(batch_first=True, kind=nn.GRU), SEQUENCE, []),
    "attention over the batch": (Attention(batch_first=False), SEQUENCE, ["nn.MultiheadAttention"]),
    "attention over time": (Attention(batch_first=True), SEQUENCE, []),
    "attention as a function, over the batch": (custom(attention_over_batch), SEQUENCE,
                                                ["F.scaled_dot_product_attention"]),
    "a batch folded into time, and back": (custom(folded), SEQUENCE, []),
    "a batch folded behind time, and back": (custom(folded_behind_time), SEQUENCE, []),
    "pixel unshuffle": (nn.PixelUnshuffle(2), MAP, []),
    "every other sample": (simple(lambda x: x[::2]), VECTOR, ["operator.getitem"]),
    "a random mask from numpy": (custom(numpy_mask), VECTOR, []),
    "positions from numpy": (custom(numpy_positions), VECTOR, []),
    "a boolean mask": (custom(masked), VECTOR, []),
    "the mean of what a mask leaves": (custom(masked_mean), VECTOR, ["Tensor.mean"]),
    "the batch size as a number": (simple(lambda x: x / x.size(0)), VECTOR, ["Tensor.div"]),
    "the batch size as a shape": (simple(lambda x: x.view(x.size(0), -1)), VECTOR, []),
    "running statistics": (custom(running), VECTOR, ["Tensor.mean"]),
    "a buffer that is only read": (custom(memory_bank), VECTOR, []),
    "dropout": (nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 6)), VECTOR, []),
    "dropout as a function": (simple(lambda x: F.dropout(x, 0.5)), VECTOR, []),
    "stochastic depth": (custom(drop_path), VECTOR, []),
    "stochastic depth by floor": (custom(drop_path_by_floor), VECTOR, []),
    "noise": (simple(lambda x: x + torch.randn_like(x)), VECTOR, []),
    "mixup": (custom(mixup), VECTOR, ["operator.getitem"]),
    "rows picked by sample": (custom(last_token), SEQUENCE, []),
    "a class token for each sample": (custom(with_class_token), SEQUENCE, []),
    "in-place writes": (custom(in_place), VECTOR, []),
    "all pairs": (custom(pairs), VECTOR, ["Tensor.sub"]),
    "a loss": (simple(lambda x: F.mse_loss(x, x.detach() * 2)), VECTOR, []),
    "transposed through": (simple(lambda x: x.T.softmax(0).T), VECTOR, []),
    "channels last": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), MAP, []),
    "pooling over samples": (simple(lambda x: F.avg_pool1d(x.T[None], 3, 1, 1)[0].T), VECTOR, ["torch.avg_pool1d"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_operations_that_mix_samples_are_named_and_no_others(case: str) -> None:
    model, shape, expected = CASES[case]
    torch.manual_seed(0)  # a mask may leave all samples or none
    found = find_mixing(BatchAxes(model, (torch.randn(*shape),), {}))
    assert [node.target for node in found] == expected


def test_a_hidden_state_has_its_batch_behind_its_layers() -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(6, 8, num_layers=4, batch_first=True)

        def forward(self, x: torch.Tensor, h: torch.Tensor, scale: torch.Tensor) -> Any:
            return self.rnn(x * scale, h)

    axes = BatchAxes(Stateful(), (torch.randn(4, 5, 6), torch.randn(4, 4, 8)), {"scale": torch.randn(1, 1, 6)})
    axes.graph_at(7)
    assert [(each.name, each.axis) for each in axes.inputs(7)] == [("x", 0), ("h", 1), ("scale", None)]
    assert find_mixing(axes) == []


def test_forward_that_goes_sample_by_sample_cannot_be_judged() -> None:
    model = simple(lambda x: torch.stack([row * 2 for row in x]))
    with pytest.raises(UnjudgedError, match=r"sample by sample|other things"):
        find_mixing(BatchAxes(model, (torch.randn(4, 6),), {}))


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = torch.randn(4, 6)
    state = torch.random.get_rng_state()
    find_mixing(BatchAxes(model, (x,), {}))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model[0].weight.dtype == torch.float32
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.random.get_rng_state(), state)


def test_ways_to_put_parts_together() -> None:
    assert [cut.dim for cut in candidates((6, 6), (3, 6), (3, 6))] == [0]
    assert list(candidates((6, 6), (3, 3), (3, 3))) == []
    assert [cut.outer for cut in candidates((24, 2), (12, 2), (12, 2))] == [1, 2, 4]
