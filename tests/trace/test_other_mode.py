"""The graph of a model in the other mode, traced on demand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from netcheck.errors import TraceError
from netcheck.trace import trace


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_both_modes_can_be_had_and_the_model_keeps_its_own() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Dropout(0.1)).eval())
    before = modes(model)
    graph = trace(model, (torch.randn(4, 8),))
    evaluated, training = graph.in_mode(training=False), graph.in_mode(training=True)
    assert [node.training for node in evaluated if node.module is not None] == [False, False]
    assert [node.training for node in training if node.module is not None] == [True, True]
    assert graph.in_mode(training=False) is evaluated
    assert modes(model) == before


def test_a_model_that_is_in_that_mode_is_not_traced_again() -> None:
    graph = trace(nn.Linear(8, 4).eval(), (torch.randn(4, 8),))
    assert graph.in_mode(training=False) is graph


def test_a_compiled_module_gets_its_flag_back() -> None:
    model = nn.Sequential(torch.jit.script(nn.Dropout(0.5)), nn.Linear(8, 4))
    trace(model, (torch.randn(4, 8),)).in_mode(training=False)
    assert modes(model) == [True, True, True]


class Refuses(nn.Linear):
    """Cannot be put into evaluation mode."""

    def train(self, mode: bool = True) -> Refuses:
        if not mode:
            raise ValueError("this model only trains")
        return super().train(mode)


def test_what_the_users_train_raises_is_said() -> None:
    model = nn.Sequential(Refuses(8, 4))
    graph = trace(model, (torch.randn(4, 8),))
    with pytest.raises(TraceError, match="this model only trains"):
        graph.in_mode(training=False)
    assert modes(model) == [True, True]


class OnlyInTraining(nn.Module):
    """Raises in evaluation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.training else x.view(3, 5, 7)


def test_a_forward_that_raises_in_that_mode_is_a_trace_error() -> None:
    graph = trace(OnlyInTraining(), (torch.randn(4, 8),))
    with pytest.raises(TraceError, match="view"):
        graph.in_mode(training=False)
