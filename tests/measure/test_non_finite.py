"""NaN and infinity wherever they arise: in the head, after it, forward or backward; and inputs that the model is not made for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netcheck
from tests.rules.checking import net

X = (8, 16)


def head() -> nn.Linear:
    return nn.Linear(16, 4)


BROKEN = {
    "log": net(lambda self, x: torch.log(-torch.exp(self.fc(x))), fc=head()),
    "sqrt": net(lambda self, x: self.fc(x) + (x - x).square().sum(-1, keepdim=True).add(self.fc(x) * 0).sqrt(), fc=head()),
    "div": net(lambda self, x: self.fc(x) / (self.fc(x) - self.fc(x)), fc=head()),
    "exp": net(lambda self, x: torch.exp(1000 + self.fc(x)), fc=head()),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_comes_after_the_head_counts(name: str) -> None:
    found = [one for one in netcheck.check(BROKEN[name], torch.randn(X), remedies=False) if one.code == "NC609"]
    assert [one.severity for one in found] == ["error"]
    assert found[0].locations


SOUND = {
    "masked logits": net(lambda self, x: self.fc(x).masked_fill(torch.eye(8, 4, dtype=torch.bool), -torch.inf), fc=head()),
    "a norm whose slope torch sets to 0": net(lambda self, x: self.fc(x) + (self.fc(x) * 0).norm(dim=1, keepdim=True), fc=head()),
    "a square root that is kept from 0": net(lambda self, x: (self.fc(x).square().sum(1) + 1e-6).sqrt(), fc=head()),
    "log-probabilities": net(lambda self, x: self.fc(x).log_softmax(1), fc=head()),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_finite_where_it_counts_is_sound(name: str) -> None:
    assert "NC609" not in [one.code for one in netcheck.check(SOUND[name], torch.randn(X), remedies=False)]


class Logarithm(nn.Module):
    """Made for positive inputs, as energies are."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.log(x + 1e-6))


def test_inputs_that_netcheck_chose_are_tried_between_0_and_1() -> None:
    report = netcheck.check(Logarithm())
    assert "NC609" not in [one.code for one in report]
    assert report.gradients is not None
    assert report.gradients.first_nonfinite is None


def test_inputs_that_were_given_are_no_guess() -> None:
    assert "NC609" in [one.code for one in netcheck.check(Logarithm(), torch.randn(X))]
    assert "NC609" not in [one.code for one in netcheck.check(Logarithm(), torch.rand(X))]
