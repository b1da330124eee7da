"""Recurrent nets: told from stacks, however they are written, and left alone where nothing is known of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netcheck
from netcheck.findings import Severity
from netcheck.trace import trace
from netcheck.trace.questions.recurrence import is_recurrent
from tests.rules.checking import net


def by_hand(self: Any, x: Tensor) -> Tensor:
    h = x.new_zeros(len(x), 16)
    for step in x.unbind(1):
        h = torch.tanh(self.inner(step) + self.outer(h))
    return self.head(h)


def with_bare_weights(self: Any, x: Tensor) -> Tensor:
    h = x.new_zeros(len(x), 16)
    for step in x.unbind(1):
        h = torch.tanh(step @ self.u + h @ self.w)
    return self.head(h)


def each_step_alone(self: Any, x: Tensor) -> Tensor:
    return self.head(torch.stack([torch.tanh(self.inner(step)) for step in x.unbind(1)], 1).mean(1))


RECURRENT = {
    "nn.LSTM": net(
        lambda self, x: self.head(self.lstm(x)[0][:, -1]), lstm=nn.LSTM(4, 16, 3, batch_first=True), head=nn.Linear(16, 2)
    ),
    "by hand": net(by_hand, inner=nn.Linear(4, 16), outer=nn.Linear(16, 16), head=nn.Linear(16, 2)),
    "bare weights": net(
        with_bare_weights,
        u=nn.Parameter(torch.randn(4, 16)),
        w=nn.Parameter(torch.randn(16, 16) / 4),
        head=nn.Linear(16, 2),
    ),
}
OTHERS = {
    "each step alone": net(each_step_alone, inner=nn.Linear(4, 16), head=nn.Linear(16, 2)),
    "a stack": net(lambda self, x: self.net(x.flatten(1)), net=nn.Sequential(nn.Linear(96, 8), nn.Tanh(), nn.Linear(8, 2))),
    "a way around": net(
        lambda self, x: self.head(self.lstm(x)[0][:, -1]) + self.skip(x[:, -1]),
        lstm=nn.LSTM(4, 16, batch_first=True),
        head=nn.Linear(16, 2),
        skip=nn.Linear(4, 2),
    ),
}


@pytest.mark.parametrize("name", [*RECURRENT, *OTHERS])
def test_a_net_that_runs_over_steps_is_told(name: str) -> None:
    model = {**RECURRENT, **OTHERS}[name]
    assert is_recurrent(trace(model, (torch.randn(8, 24, 4),))) is (name in RECURRENT)


@pytest.mark.parametrize("name", RECURRENT)
def test_it_is_not_warned_of_what_is_usual_for_it(name: str) -> None:
    report = netcheck.check(RECURRENT[name], torch.randn(8, 24, 4))
    assert not [one.code for one in report.at_least(Severity.WARNING) if one.code in ("NC601", "NC607")]
