"""NC403: the names that an in-place operation leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netcheck.findings import Severity, Verdict
from netcheck.rules.residual.inplace_on_skip import InplaceOnSkip
from tests.rules.checking import findings, net


class Clamped(nn.Module):
    """An activation of a user's own that writes to its input."""

    def forward(self, x: Tensor) -> Tensor:
        x.clamp_(min=0)
        return x


class Branch(nn.Module):
    """A branch that discards the result of an in-place operation on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x.relu_()
        return self.layer(x)


def block(forward: Any, **members: nn.Module) -> nn.Module:
    """A stem and a head around a residual block of two layers."""
    layers = {"first": nn.Linear(8, 8), "second": nn.Linear(8, 8), **members}
    return nn.Sequential(nn.Linear(8, 8), net(forward, **layers), nn.Linear(8, 2))


def unet(self: Any, x: Tensor, *, early: bool) -> Tensor:
    """Skips in a list, taken before or after an in-place activation."""
    skips = []
    for layer in self.down:
        if early:
            skips.append(x)
        x = self.act(x)
        if not early:
            skips.append(x)
        x = layer(x)
    for layer in self.up:
        x = layer(x) + skips.pop()
    return x


def mutated_twice(self: Any, x: Tensor) -> Tensor:
    skip = x
    x = F.elu_(x)
    x *= 2
    return self.second(x) + skip


def through_a_view(self: Any, x: Tensor) -> Tensor:
    heads = x.view(-1, 4, 2)
    F.relu(heads, inplace=True)
    return x + self.second(heads.flatten(1))


def scaled_by_a_gate(self: Any, x: Tensor) -> Tensor:
    identity = x
    x.mul_(torch.sigmoid(self.first(x)))
    return x + identity


def renamed(self: Any, x: Tensor) -> Tensor:
    x = torch.clamp_(x, min=0)
    identity = x
    return self.second(F.relu_(self.first(x))) + identity


def statements(self: Any, x: Tensor) -> Tensor:
    F.relu(x, inplace=True)
    x.mul_(0.5)
    return x + self.second(x)


def reshaped_in_place(self: Any, x: Tensor) -> Tensor:
    y = x.unsqueeze_(1)
    return x + self.second(y)


def sums_in_place(self: Any, x: Tensor) -> Tensor:
    for layer in (self.first, self.second):
        x += layer(x)
    return x


BAD = {
    "a wrapper": block(lambda self, x: self.body(x) + x, body=nn.Sequential(nn.SiLU(True), nn.Linear(8, 8))),
    "a user's activation": block(lambda self, x: x + self.second(self.act(x)), act=Clamped()),
    "a branch that discards": block(lambda self, x: x + self.body(x), body=Branch()),
    "changed twice": block(mutated_twice),
    "a view": block(through_a_view),
    "a gate": block(scaled_by_a_gate),
    "an empty shortcut, evaluated late": block(
        lambda self, x: torch.add(self.second(F.dropout(x, 0.2, inplace=True)), self.shortcut(x)),
        shortcut=nn.Sequential(),
    ),
    "checkpointing": block(
        lambda self, x: x + torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False),
        body=nn.Sequential(nn.ReLU(True), nn.Linear(8, 8)),
    ),
}
GOOD = {
    "renamed": block(renamed),
    "statements": block(statements),
    "only the shape": block(reshaped_in_place),
    "sums in place": block(sums_in_place),
    "dropout at the end": block(lambda self, x: x + self.drop(self.second(x)), drop=nn.Dropout(0.1, inplace=True)),
    "a copy for the branch": block(lambda self, x: x + self.second(x.clone().relu_())),
    "switched off": block(lambda self, x: x + self.second(F.dropout(x, 0.0, inplace=True))),
    "a user's activation, renamed": block(lambda self, x: (lambda y: y + self.second(y))(self.act(x)), act=Clamped()),
}


@pytest.mark.parametrize("model", BAD.values(), ids=BAD)
def test_a_skip_that_is_overwritten_is_found(model: nn.Module) -> None:
    (found,) = findings(InplaceOnSkip, model, (4, 8))
    assert (found.severity, found.verdict) == (Severity.WARNING, Verdict.CONFIRMED)


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_what_means_the_new_value_is_left_alone(model: nn.Module) -> None:
    assert findings(InplaceOnSkip, model, (4, 8)) == []


@pytest.mark.parametrize("early", [True, False])
def test_skips_kept_in_a_list(early: bool) -> None:
    model = net(
        lambda self, x: unet(self, x, early=early),
        down=nn.ModuleList(nn.Conv2d(3, 3, 3, 2, 1) for _ in range(2)),
        up=nn.ModuleList(nn.ConvTranspose2d(3, 3, 2, 2) for _ in range(2)),
        act=nn.LeakyReLU(0.2, inplace=True),
    )
    model = nn.Sequential(nn.Conv2d(3, 3, 1), model)
    assert [found.count for found in findings(InplaceOnSkip, model, (2, 3, 16, 16))] == ([2] if early else [])


def test_the_places_are_the_operation_and_the_sum() -> None:
    (found,) = findings(InplaceOnSkip, BAD["a wrapper"], (4, 8))
    assert found.modules == ("1.body.0", "1")
    assert found.message.startswith("nn.SiLU works in place")
