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
