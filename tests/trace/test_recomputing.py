"""Functions that run what they are given without gradients, and again in backward: hand-written checkpoints."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netcheck
from netcheck.trace import trace


class Again(torch.autograd.Function):
    """Runs a block without gradients; backward runs it once more, with them."""

    @staticmethod
    def forward(ctx: Any, block: nn.Module, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.block, ctx.parameters = block, parameters
        ctx.save_for_backward(x)
        with torch.no_grad():
            return block(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            result = ctx.block(x)
        return None, *torch.autograd.grad(result, (x, *ctx.parameters), gradient)


class AgainNew(Again):
    """The same in the newer form, with set_grad_enabled."""

    @staticmethod
    def forward(block: nn.Module, x: Tensor, *parameters: Tensor) -> Tensor:  # type: ignore[override]
        torch.set_grad_enabled(False)
        result = block(x)
        torch.set_grad_enabled(True)
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.block, x, *ctx.parameters = inputs
        ctx.save_for_backward(x)


class Net(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function
        self.block = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.function.apply(self.block, x, *self.block.parameters()))


@pytest.mark.parametrize("function", [Again, AgainNew])
def test_what_is_computed_again_in_backward_gets_its_gradient(function: type[torch.autograd.Function]) -> None:
    report = netcheck.check(Net(function), torch.randn(16, 8))
    assert not {"NC608", "NC905", "NC904"} & {one.code for one in report}
    assert report.gradients is not None
    assert {one.name for one in report.gradients.parameters} >= {"block.0.weight", "block.2.bias"}
    assert [node.target for node in trace(Net(function), (torch.randn(4, 8),)) if node.path.startswith("block.")]


def test_what_the_block_itself_detaches_stays_so() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.other = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                kept = self.layer(x)
            return self.other(kept + x)

    net = Net(Again)
    net.block = nn.Sequential(Frozen(), nn.ReLU())
    assert "NC905" in [one.code for one in netcheck.check(net, torch.randn(16, 8), probe=False)]
    assert torch.is_grad_enabled()
