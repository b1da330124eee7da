"""Which variable an operand was read from: one named before an in-place operation changed its value, or after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace import ModelGraph, trace


class Rectified(nn.Module):
    """An activation that writes to its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.relu_(x)
        return x


def outdated(forward: Callable[..., Any]) -> dict[str, list[str]]:
    """For each node that reads outdated references, what it reads by them."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.relu, self.act = nn.ReLU(inplace=True), Rectified()
            self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4))

        def forward(self, x: torch.Tensor) -> Any:
            return forward(self, self.a(x))

    model, x = Net(), torch.randn(2, 4)
    graph: ModelGraph = trace(model, (x,))
    assert torch.equal(graph.module(x), model(x))
    return {node.name: [source.name for source in node.outdated] for node in graph if node.outdated}


def test_a_result_that_is_named_anew_is_up_to_date() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        x += self.b(x)
        x = self.act(x)
        return x + self.b(x)

    assert outdated(forward) == {}


def test_the_name_from_before_is_outdated() -> None:
    assert outdated(lambda self, x: x + self.block(x)) == {"add": ["block_0"]}
    assert outdated(lambda self, x: self.b(F.relu(x, inplace=True)) + x) == {"add": ["relu"]}
    assert outdated(lambda self, x: self.b(self.act(x)) + x) == {"add": ["relu_"]}


def test_a_discarded_result_leaves_every_use_outdated() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.relu(x)
        return x + self.b(x)

    assert outdated(forward) == {"b": ["relu"], "add": ["relu"]}


def test_several_changes_leave_one_outdated_name() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        first = x
        for _ in range(3):
            x += self.b(x)
        return x * first

    assert outdated(forward) == {"mul": ["add__2"]}


def test_marks_on_a_tensor_change_no_value() -> None:
    assert outdated(lambda self, x: self.b(x.requires_grad_()) + x) == {}


def test_real_tensors_keep_their_history() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.block = nn.Linear(4, 4), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.a(x)
            with torch.no_grad():
                scale = x.detach().clone().abs_().max().clamp_(min=1.0).item()  # needs values: no fake tensors
            y = x + self.block(x)
            y /= scale
            (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            return y + slope

    model, x = Net(), torch.randn(2, 4)
    graph = trace(model, (x,))
    assert graph.tensors == "real"
    assert [node.outdated[0].name for node in graph if node.outdated][:1] == ["block_0"]
