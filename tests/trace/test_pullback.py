"""Gradients taken node by node: to the last bit those of autograd's engine, which is not asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netcheck.trace import behaviour, trace
from netcheck.trace.pullback import pullback

Function = Callable[[torch.Tensor], torch.Tensor]


class Sign(torch.autograd.Function):
    """Has the gradient of twice the identity, and a result that nobody uses."""

    @staticmethod
    def forward(ctx: Any, factor: float, x: torch.Tensor, other: torch.Tensor) -> Any:
        ctx.save_for_backward(x)
        return x.sign() * factor, x.square()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        assert not torch.is_grad_enabled()
        return None, 2 * gradients[0] * ctx.saved_tensors[0], None


def written_to(x: torch.Tensor) -> torch.Tensor:
    y = x * 1
    y[0:3] = y[3:6] * 2
    y.view(3, 3)[1].mul_(3)
    return y.tanh_()


FUNCTIONS: dict[str, Function] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "swish": lambda x: x * torch.sigmoid(x),
    "branches": lambda x: torch.where(x > 0, x, x.exp()) + F.softplus(x) - x.clamp(-1, 1),
    "parts": lambda x: torch.stack([x, x.sin()]).unbind(0)[1] * x.split(4)[0].sum(),
    "largest": lambda x: x.max(0)[0] * x,
    "straight through": lambda x: x + (x.round() - x).detach(),
    "custom": lambda x: Sign.apply(3.0, x, x.detach())[0],
    "written to": written_to,
    "broadcast": lambda x: x * x[:1] + x.sum(),
    "module": nn.PReLU(dtype=torch.float64),
    "norm": lambda x: F.layer_norm(x, (9,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gradient_is_that_of_autograd(name: str) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64).requires_grad_()
    value = FUNCTIONS[name](x)
    (expected,) = torch.autograd.grad(value, x, torch.ones_like(value), retain_graph=True)
    found = pullback(value, x)
    assert found is not None
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert x.grad is None


def test_what_does_not_depend_has_no_gradient() -> None:
    x, other = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    assert pullback(other * 2, x) is None


def test_an_operation_that_cannot_be_asked_is_left_to_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise TypeError("no")

    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    expected = behaviour.evaluated(torch.tanh, x)[1]
    monkeypatch.setattr(behaviour, "pullback", refuse)
    assert torch.equal(behaviour.evaluated(torch.tanh, x)[1], expected)


def test_tracing_does_not_start_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    trace(nn.Linear(4, 4), (torch.randn(2, 4),))  # what is done once, and imported

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the engine runs")

    monkeypatch.setattr(torch.autograd, "grad", refuse)
    monkeypatch.setattr(torch.autograd, "backward", refuse)

    class Swish(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.layer(x)
            return torch.tanh(F.gelu(h * torch.sigmoid(h)))

    graph = trace(Swish(), (torch.randn(2, 4),))
    assert [node.activation is not None for node in graph if node.kind == "activation"].count(True) >= 1
