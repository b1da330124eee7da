"""How far rounding moves two models apart that compute the same: with biases that the norms behind them subtract, and without.

    python -m tests.fix.rounding      prints the largest relative difference of outputs and gradients, by precision

`netcheck.measure.sameness.ROUNDING` is set from it.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from netcheck.measure import sameness
from tests.zoo import declare_torchvision_operators

NAMES = (
    "resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x0_5", "mnasnet0_5",
    "regnet_y_400mf", "efficientnet_b0", "googlenet", "resnext50_32x4d",
)  # fmt: skip


def biased(model: nn.Module) -> nn.Module:
    """The model with a random bias in every convolution that a batch norm follows: all that have none."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.randn(module.out_channels, generator=generator))
    return model


def apart(name: str, dtype: torch.dtype) -> tuple[float, float]:
    """The difference of outputs and of gradients."""
    from torchvision import models

    torch.manual_seed(0)
    more = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    plain = getattr(models, name)(**more)
    for module in plain.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if type(module).__name__ == "StochasticDepth":
            module.p = 0.0
    before = biased(copy.deepcopy(plain))
    types = sameness.TYPES
    try:
        sameness.TYPES = (dtype,)
        found = sameness.sameness(before, plain, (torch.randn(4, 3, 96, 96),), {})
    finally:
        sameness.TYPES = types
    assert not found.problem, found.problem
    return found.outputs or 0.0, found.gradients or 0.0


if __name__ == "__main__":
    declare_torchvision_operators()
    for dtype in (torch.float64, torch.float32):
        rows = {name: apart(name, dtype) for name in NAMES}
        for name, (outputs, gradients) in rows.items():
            print(f"{dtype} {name}: outputs {outputs:.1e}, gradients {gradients:.1e}")
        print(f"{dtype}: at most {max(map(max, rows.values())):.1e} in {len(rows)} models")
