"""Real values for a slot, from a private generator."""

from __future__ import annotations

import torch
from torch import Tensor

from netcheck.load.inference.proposals import Slot


def ids(shape: tuple[int, ...], high: int | Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers below `high`, which is one number or one for each column: (1, ...)."""
    if not isinstance(high, Tensor):
        return torch.randint(0, max(1, high), shape, generator=generator)
    return (torch.rand(shape, generator=generator, dtype=torch.float64) * high).long().minimum(high - 1)


def fill(slot: Slot, shape: tuple[int, ...], *, high: int, generator: torch.Generator) -> Tensor:
    """A CPU tensor for `slot`.

    Floats are standard normal, integers uniform below `high`. Where a mask's meaning is unknown its entries
    alternate, so that no row is masked wholly, whichever value masks.
    """
    if slot.fill in ("ones", "zeros"):
        return torch.full(shape, slot.fill == "ones", dtype=slot.dtype)
    if slot.fill == "length":
        return torch.full(shape, high, dtype=slot.dtype)
    if slot.fill == "steps":
        return (torch.arange(shape[0]) * max(1, high // max(1, shape[0]))).to(slot.dtype)
    if slot.fill == "unit":
        return torch.rand(shape, dtype=torch.float32, generator=generator).to(slot.dtype)
    if slot.fill == "alternate":
        return alternate(shape).to(slot.dtype)
    if slot.dtype is torch.bool:
        return torch.ones(shape, dtype=torch.bool)
    if slot.is_integer:
        return torch.randint(0, max(1, high), shape, generator=generator, dtype=slot.dtype)
    return torch.randn(shape, generator=generator, dtype=torch.float32).to(slot.dtype)


def plain_fill(slot: Slot, shape: tuple[int, ...], length: int) -> Tensor:
    """What a slot holds while inputs are looked for: ids that any table has, and `length` where it says how long samples are."""
    high = length if slot.fill == "length" else 2
    return fill(slot, shape, high=high, generator=torch.Generator().manual_seed(0))


def alternate(shape: tuple[int, ...]) -> Tensor:
    """A checkerboard of True and False, True in the corner."""
    board = torch.zeros(shape, dtype=torch.int64)
    for axis, size in enumerate(shape):
        board += torch.arange(size).view([size if other == axis else 1 for other in range(len(shape))])
    return board % 2 == 0
