"""What recurrent nets are told mends what they are told of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netcheck
from netcheck.rules.helpers import advice
from tests.calibration.networks import steps_as_advised


class Last(nn.Module):
    def __init__(self, large: float, hidden: int = 32) -> None:
        super().__init__()
        self.rnn, self.head = nn.RNN(4, hidden, nonlinearity="relu", batch_first=True), nn.Linear(hidden, 3)
        nn.init.normal_(self.rnn.weight_hh_l0, std=large / hidden**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class ByHand(nn.Module):
    def __init__(self, large: float, hidden: int = 32) -> None:
        super().__init__()
        self.read, self.carry, self.head = nn.Linear(4, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 3)
        nn.init.normal_(self.carry.weight, std=large / hidden**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = x.new_zeros(len(x), self.carry.in_features)
        for step in x.unbind(1):
            state = torch.relu(self.read(step) + self.carry(state))
        return self.head(state)


@pytest.mark.parametrize("kind", [Last, ByHand])
@pytest.mark.parametrize("large", [0.1, 4.0])
def test_a_recurrent_net_is_told_how_to_draw_its_weights(kind: type[Last] | type[ByHand], large: float) -> None:
    torch.manual_seed(0)
    model, x = kind(large), torch.randn(16, 24, 4)
    warned = [one for one in netcheck.check(model, x).at_least("warning") if one.code.startswith(("NC5", "NC6"))]
    assert all(one.help.startswith(advice.STATES) for one in warned)
    assert warned or large < 1
    for module in model.modules():
        if isinstance(module, nn.RNN | nn.Linear):
            steps_as_advised(module)
    assert not netcheck.check(model, x).at_least("warning")


class Attends(nn.Module):
    """Blocks of attention, as a layer or written out, bare or in the form that the advice asks for."""

    def __init__(self, *, written_out: bool, advised: bool, width: int = 32, depth: int = 8) -> None:
        super().__init__()
        self.written_out, self.advised = written_out, advised
        self.embed, self.head = nn.Linear(4, width), nn.Linear(width, 3)
        self.blocks = nn.ModuleList(self.block(width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) if advised else nn.Identity() for _ in range(2 * depth))

    def block(self, width: int) -> nn.ModuleDict:
        attention = nn.Linear(width, 3 * width) if self.written_out else nn.MultiheadAttention(width, 2, batch_first=True)
        return nn.ModuleDict({"attention": attention, "mlp": nn.Sequential(nn.Linear(width, width), nn.ReLU())})

    def attend(self, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if not self.written_out:
            return layer(x, x, x)[0]
        q, k, v = layer(x).chunk(3, -1)
        return torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1) @ v

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for block, first, second in zip(self.blocks, self.norms[::2], self.norms[1::2], strict=True):
            y = self.attend(block["attention"], first(x))
            x = x + y if self.advised else y
            y = block["mlp"](second(x))
            x = x + y if self.advised else y
        return self.head(x.mean(1))


@pytest.mark.parametrize("written_out", [False, True])
def test_bare_blocks_of_attention_are_told_norms_and_skips_at_once(written_out: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 24, 4)
    warned = netcheck.check(Attends(written_out=written_out, advised=False), x).at_least("warning")
    assert [one for one in warned if one.help.startswith(advice.ATTENTION)]
    assert not netcheck.check(Attends(written_out=written_out, advised=True), x).at_least("warning")


def test_one_attention_among_convolutions_makes_no_transformer() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.Sequential(*[nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Tanh()) for _ in range(20)])
            self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.convs(x).flatten(2).transpose(1, 2)
            return self.head(self.attention(tokens, tokens, tokens)[0].mean(1))

    warned = netcheck.check(Mixed(), torch.randn(16, 8, 8, 8)).at_least("warning")
    assert warned
    assert not [one for one in warned if one.help.startswith(advice.ATTENTION)]


class Doubles(nn.Module):
    """Residual blocks, each of which adds its branch to so many times its input."""

    def __init__(self, factor: float, depth: int = 14, channels: int = 8) -> None:
        super().__init__()
        self.factor, self.stem, self.head = factor, nn.Conv2d(1, channels, 3, padding=1), nn.Linear(channels, 3)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(depth)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for branch in self.branches:
            x = self.factor * x + branch(x)
        return self.head(x.mean((2, 3)))


def test_skips_that_carry_a_factor_are_told_to_lose_it() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 1, 8, 8)
    warned = netcheck.check(Doubles(2.0), x).at_least("warning")
    assert [one.code for one in warned if one.help == advice.IDENTITY]
    assert not netcheck.check(Doubles(1.0), x).at_least("warning")


def test_residual_sigmoids_without_norms_are_told_norms_beside_rectifiers() -> None:
    class Sigmoids(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 3)
            self.branches = nn.ModuleList(nn.Linear(32, 32) for _ in range(9))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            for branch in self.branches:
                x = torch.sigmoid(x + branch(x))
            return self.head(x)

    torch.manual_seed(0)
    (found,) = (one for one in netcheck.check(Sigmoids(), torch.randn(32, 8)).at_least("warning") if one.code == "NC102")
    assert "nn.ReLU()" in found.help
    assert f"and {advice.BLOCKS}" in found.help
