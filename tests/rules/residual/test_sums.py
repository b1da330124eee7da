"""NC402, NC404 to NC407: residual sums in other styles of code than the rules' own examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netcheck.findings import Severity
from netcheck.rules.base import StaticRule
from netcheck.rules.residual.blocked_identity import BlockedIdentity
from netcheck.rules.residual.branch_added_to_itself import BranchAddedToItself
from netcheck.rules.residual.rectifier_before_add import RectifierBeforeAdd
from netcheck.rules.residual.skip_added_twice import SkipAddedTwice
from netcheck.rules.residual.skip_after_preactivation import SkipAfterPreactivation
from tests.rules.checking import findings, net


def model(*forwards: Any, **members: nn.Module) -> nn.Module:
    """Residual blocks with these forwards between a stem and a head."""
    blocks = [
        net(forward, first=nn.Linear(8, 8), second=nn.Linear(8, 8), norm=nn.BatchNorm1d(8), **members) for forward in forwards
    ]
    return nn.Sequential(nn.Linear(8, 8), *blocks, nn.LazyLinear(2))


def branch(self: Any, x: Tensor) -> Tensor:
    """Two layers and a rectifier between them."""
    return self.second(F.relu(self.first(x)))


def late_name(self: Any, x: Tensor) -> Tensor:
    out = branch(self, x)
    residual = out
    out = F.relu(out)
    return out + residual


def partial_sums(self: Any, x: Tensor) -> Tensor:
    out = branch(self, x)
    out += x
    out += x
    return out


def preactivated(self: Any, x: Tensor) -> Tensor:
    y = F.silu(self.norm(x))
    return y + branch(self, y)


BAD = {
    "402 weighted sum": (BlockedIdentity, model(lambda s, x: torch.add(branch(s, x), x, alpha=2))),
    "402 doubled": (BlockedIdentity, model(lambda s, x: branch(s, x) + 2 * x)),
    "402 divided": (BlockedIdentity, model(lambda s, x: x / 2 + branch(s, x))),
    "402 a buffer's factor": (BlockedIdentity, model(lambda s, x: x * torch.tensor(0.9) + branch(s, x))),
    "402 dropout before a projection": (
        BlockedIdentity,
        model(lambda s, x: branch(s, x)[:, :4] + s.project(F.dropout(x, 0.2)), project=nn.Linear(8, 4)),
    ),
    "402 tanh": (BlockedIdentity, model(lambda s, x: x.tanh() + branch(s, x))),
    "402 clamp": (BlockedIdentity, model(lambda s, x: torch.clamp(x, -1, 1) + branch(s, x))),
    "402 alpha dropout": (
        BlockedIdentity,
        model(lambda s, x: F.alpha_dropout(x, 0.1, s.training) + branch(s, x)),
    ),
    "404 clone": (BranchAddedToItself, model(lambda s, x: (lambda y: y + y.clone())(branch(s, x)))),
    "404 and its activation": (BranchAddedToItself, model(late_name)),
    "404 the same activation twice": (
        BranchAddedToItself,
        model(lambda s, x: (lambda y: y.relu() + F.relu(y))(branch(s, x))),
    ),
    "404 keyword arguments": (
        BranchAddedToItself,
        model(lambda s, x: (lambda y: torch.add(input=y, other=y))(branch(s, x))),
    ),
    "405 in place": (SkipAddedTwice, model(partial_sums)),
    "405 brackets": (SkipAddedTwice, model(lambda s, x: branch(s, x) + (x + x))),
    "405 dropout between": (SkipAddedTwice, model(lambda s, x: F.dropout(x + branch(s, x), 0.1) + x)),
    "405 three times": (SkipAddedTwice, model(lambda s, x: sum((x, x, branch(s, x), x)))),
    "406 square": (RectifierBeforeAdd, model(lambda s, x: x + branch(s, x) ** 2)),
    "406 softmax": (RectifierBeforeAdd, model(lambda s, x: x + branch(s, x).softmax(-1))),
    "406 maximum": (
        RectifierBeforeAdd,
        model(lambda s, x: torch.maximum(branch(s, x), torch.tensor(0.0)) + x),
    ),
    "406 stochastic depth": (
        RectifierBeforeAdd,
        model(lambda s, x: x + branch(s, x).relu() * (torch.rand(len(x), 1) < 0.9) / 0.9),
    ),
    "407 two blocks": (SkipAfterPreactivation, model(preactivated, preactivated)),
    "407 one block of a class": (SkipAfterPreactivation, model(preactivated)),
}
GOOD = {
    "402 lerp": (BlockedIdentity, model(lambda s, x: torch.lerp(x, branch(s, x), 0.3))),
    "402 both scaled": (BlockedIdentity, model(lambda s, x: (x * 0.8).add(branch(s, x) * 0.6))),
    "402 minus": (BlockedIdentity, model(lambda s, x: x - branch(s, x))),
    "402 times one": (BlockedIdentity, model(lambda s, x: 1.0 * x + branch(s, x))),
    "402 in eval mode dropout": (
        BlockedIdentity,
        model(lambda s, x: F.dropout(x, 0.5, False) + branch(s, x)),
    ),
    "402 gated": (BlockedIdentity, model(lambda s, x: x * torch.sigmoid(s.first(x)) + branch(s, x))),
    "404 halves": (
        BranchAddedToItself,
        model(lambda s, x: s.first(x)[:, :4].repeat(1, 2) + s.first(x)[:, 4:].repeat(1, 2)),
    ),
    "404 norm of itself": (BranchAddedToItself, model(lambda s, x: (lambda y: y + s.norm(y))(branch(s, x)))),
    "404 doubled input": (BranchAddedToItself, net(lambda s, x: s.layer(x + x), layer=nn.Linear(8, 2))),
    "404 attached and detached": (
        BranchAddedToItself,
        model(lambda s, x: (lambda y: y + y.detach())(branch(s, x))),
    ),
    "405 other value": (SkipAddedTwice, model(lambda s, x: x + branch(s, x) + s.norm(x))),
    "405 cancelled": (SkipAddedTwice, model(lambda s, x: (branch(s, x) + x) - x)),
    "405 sum of inputs": (
        SkipAddedTwice,
        net(lambda s, x: s.layer(x + x + x.flip(1)), layer=nn.Linear(8, 2)),
    ),
    "406 leaky": (RectifierBeforeAdd, model(lambda s, x: x + F.leaky_relu(branch(s, x)))),
    "406 taken away": (RectifierBeforeAdd, model(lambda s, x: x - F.relu(branch(s, x)))),
    "406 shifted": (RectifierBeforeAdd, model(lambda s, x: x + (F.relu(branch(s, x)) - 0.5))),
    "406 gate": (RectifierBeforeAdd, model(lambda s, x: x + x * torch.sigmoid(branch(s, x)))),
    "407 norm alone": (SkipAfterPreactivation, model(lambda s, x: (lambda y: y + branch(s, y))(s.norm(x)))),
    "407 activation alone": (
        SkipAfterPreactivation,
        model(lambda s, x: (lambda y: y + branch(s, y))(F.relu(x))),
    ),
    "407 the block's own layer first": (
        SkipAfterPreactivation,
        model(lambda s, x: (lambda y: y + s.second(y))(F.relu(s.norm(s.first(x))))),
    ),
}


@pytest.mark.parametrize(("rule", "bad"), BAD.values(), ids=BAD)
def test_the_fault_is_found_once(rule: type[StaticRule], bad: nn.Module) -> None:
    assert len(findings(rule, bad, (4, 8))) == 1


@pytest.mark.parametrize(("rule", "good"), GOOD.values(), ids=GOOD)
def test_the_near_miss_is_left_alone(rule: type[StaticRule], good: nn.Module) -> None:
    assert findings(rule, good, (4, 8)) == []


@pytest.mark.parametrize(
    ("rule", "forward", "blocks"),
    [
        (BlockedIdentity, lambda s, x: F.dropout(x, 0.5, s.training) + branch(s, x), 9),
        (BlockedIdentity, lambda s, x: 0.5 * x + branch(s, x), 9),
        (SkipAfterPreactivation, preactivated, 4),
    ],
)
def test_one_block_is_a_note_and_a_stack_a_warning(rule: type[StaticRule], forward: Callable[..., Any], blocks: int) -> None:
    for number, severity in ((1, Severity.INFO), (blocks, Severity.WARNING)):
        (found,) = findings(rule, model(*[forward] * number), (4, 8))
        assert (found.severity, found.count) == (severity, number)


@pytest.mark.parametrize(
    ("rule", "forward"),
    [
        (BlockedIdentity, lambda s, x: F.relu(x) + branch(s, x)),
        (BlockedIdentity, lambda s, x: 2 * x + branch(s, x)),
        (RectifierBeforeAdd, lambda s, x: x + F.relu(branch(s, x))),
    ],
)
def test_what_a_net_of_many_blocks_trains_with_is_no_warning(rule: type[StaticRule], forward: Callable[..., Any]) -> None:
    (found,) = findings(rule, model(*[forward] * 12), (4, 8))
    assert (found.severity, found.count) == (Severity.INFO, 12)


def test_the_times_are_counted() -> None:
    rule, bad = BAD["405 three times"]
    (found,) = findings(rule, bad, (4, 8))
    assert found.evidence.value == 3
    assert "3 times" in found.message
