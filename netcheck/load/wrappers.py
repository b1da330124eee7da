"""What stands around a model for training it, and is looked through: DataParallel, DistributedDataParallel, torch.compile.

unwrapped(model)       the model inside
wrappers_of(model)     what was around it, outermost first, as it is called
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn


def unwrapped(module: nn.Module) -> nn.Module:
    """The model inside DataParallel, DistributedDataParallel and torch.compile's wrappers."""
    *_, (_, inside) = layers(module)
    return inside


def wrappers_of(module: nn.Module) -> list[str]:
    """What stands around the model, outermost first."""
    return [name for name, _ in layers(module) if name]


def layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The module itself, then for each wrapper that is taken off: what it is called, and what was inside."""
    yield "", module
    while True:
        # of nothing else is the attribute asked: a `__getattr__` of the user's may do anything
        original = getattr(module, "_orig_mod", None) if type(module).__name__ == "OptimizedModule" else None
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            name, module = f"nn.{type(module).__name__}", module.module
        elif isinstance(original, nn.Module):
            name, module = "torch.compile", original
        else:
            return
        yield name, module


def is_distributed(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a DTensor, of which each rank may hold a part; torch.distributed.tensor is not imported to tell."""
    return any(kind.__name__ == "DTensor" and kind.__module__.startswith("torch.distributed") for kind in type(tensor).__mro__)
