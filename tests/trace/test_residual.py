"""Residual sums: which operand is the skip, which the branch, and where both come from."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace import trace
from netcheck.trace.residual import Residual


def residuals(forward: Any, **members: nn.Module) -> list[Residual]:
    """The residual sums of a model with this forward behind a stem."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.f, self.g = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            for name, member in members.items():
                setattr(self, name, member)

        def forward(self, x: torch.Tensor) -> Any:
            return forward(self, self.stem(x))

    return trace(Net(), (torch.randn(2, 4),)).residuals


def names(residual: Residual) -> tuple[str, list[str], list[str]]:
    return residual.origin.name, [n.name for n in residual.skip.way], [n.name for n in residual.branch.way]


def test_an_identity_and_its_branch_in_either_order() -> None:
    for forward in (lambda s, x: x + s.f(x).tanh(), lambda s, x: s.f(x).tanh() + x):
        (found,) = residuals(forward)
        assert names(found) == ("stem", [], ["f", "tanh"])


def test_a_stream_of_sums() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        x = x + self.f(x)
        return x + self.g(F.layer_norm(x, (4,)))

    assert [names(found) for found in residuals(forward)] == [
        ("stem", [], ["f"]),
        ("add", [], ["layer_norm", "g"]),
    ]


def test_a_condition_that_enters_the_branch_does_not_hide_the_origin() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        condition = self.g(x)
        x = x + self.f(F.relu(x) * condition)
        return x + self.f(F.relu(x) * condition)

    assert [names(found)[0] for found in residuals(forward)] == ["stem", "add"]


def test_three_terms_keep_the_identity() -> None:
    first, second = residuals(lambda s, x: x + s.f(x) + s.g(x))
    assert names(first) == ("stem", [], ["f"])
    assert names(second) == ("stem", ["add"], ["g"])


def test_a_projection_is_a_skip_of_fewer_layers() -> None:
    (found,) = residuals(lambda s, x: s.p(x) + s.q(s.f(x).relu()), p=nn.Linear(4, 8), q=nn.Linear(4, 8))
    assert names(found) == ("stem", ["p"], ["f", "relu", "q"])
    assert found.projected


def test_parallel_layers_and_strangers_are_no_residual_sums() -> None:
    assert residuals(lambda s, x: s.f(x) + s.g(x)) == []
    assert residuals(lambda s, x: x.amax(0) + x.mean(0)) == []
    assert residuals(lambda s, x: x + 1) == []
    assert residuals(lambda s, x: x + s.p, p=nn.Parameter(torch.zeros(4))) == []


def test_many_blocks_cost_no_more_each() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        for _ in range(200):
            x = x + self.f(F.relu(x))
        return x

    found = residuals(forward)
    assert len(found) == 200
    assert all(len(each.branch.nodes) == 2 for each in found)
