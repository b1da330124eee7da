"""Models with a kernel of their own, in Triton: it needs an accelerator to be imported usefully."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import nn


@triton.jit
def doubled_kernel(source, target, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    """Twice each of `size` numbers."""
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = places < size
    tl.store(target + places, 2 * tl.load(source + places, mask=inside), mask=inside)


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Twice `x`, by the kernel."""
    y = torch.empty_like(x)
    doubled_kernel[(triton.cdiv(x.numel(), 256),)](x.contiguous(), y, x.numel(), BLOCK=256)
    return y


class Doubled(torch.autograd.Function):
    """Launches the kernel itself."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Twice `x`."""
        return doubled(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Twice the gradient."""
        return doubled(gradients[0])


@torch.library.custom_op("netcheck_tests::doubled", mutates_args=())
def doubled_operator(x: torch.Tensor) -> torch.Tensor:
    """Twice `x`, behind an operator that torch knows."""
    return doubled(x)


@doubled_operator.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


doubled_operator.register_autograd(lambda ctx, gradient: doubled_operator(gradient))


class Launched(nn.Module):
    """With the kernel as an autograd function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def double(self, h: torch.Tensor) -> torch.Tensor:
        """Twice `h` (N, 8)."""
        result: torch.Tensor = Doubled.apply(h)
        return result

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 6) -> (N, 3)."""
        output: torch.Tensor = self.last(torch.tanh(self.double(self.first(x))))
        return output


class Registered(Launched):
    """With the kernel as an operator."""

    def double(self, h: torch.Tensor) -> torch.Tensor:
        """Twice `h` (N, 8)."""
        result: torch.Tensor = doubled_operator(h)
        return result
