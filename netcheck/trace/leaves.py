"""Which modules are one operation of a graph, and which are entered."""

from __future__ import annotations

import torch
from torch import nn

_CONTAINERS = (
    nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder,
    nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
)  # fmt: skip


def unwrapped(module: nn.Module) -> nn.Module:
    """The model inside DataParallel, DistributedDataParallel and torch.compile's wrappers."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif type(module).__name__ == "OptimizedModule" and isinstance(original := getattr(module, "_orig_mod", None), nn.Module):
            module = original
        else:
            return module


def is_leaf(module: nn.Module) -> bool:
    """Whether the recorder notes the module as one operation.

    It does when torch wrote the forward that would run (also in a subclass that only changes construction), unless that
    is a container, or a parametrization computes its weight (which is then worth seeing).
    """
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if isinstance(module, _CONTAINERS) or "forward" in module.__dict__ or "parametrizations" in module._modules:
        return False
    author = next(cls for cls in type(module).__mro__ if "forward" in cls.__dict__ or "_conv_forward" in cls.__dict__)
    return author.__module__.startswith(("torch.nn.modules.", "torch.ao.nn.", "torch.nn.quantized."))
