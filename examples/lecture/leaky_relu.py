"""Dead ReLUs, and the small slope that keeps them alive.

The lecture: a ReLU whose input is negative for every sample outputs 0, has slope 0 and gets no gradient: it is dead, and
stays so. A leaky ReLU has a small slope on the negative side, so the same unit still learns, if slowly. The leak changes
the gain that keeps a signal's size only a little, from √2 to √(2 / (1 + slope²)): it is no cure for small weights.

netcheck says:
    LeakyStack    warning NC501 poor-init: a leak does not make up for PyTorch's default
                  noted: NC301, NC401
    LeakyHeStack  nothing
                  noted: NC301, NC401
"""

import torch
from torch import nn
from torch.nn import functional as F

SLOPE = 0.1


class LeakyStack(nn.Module):
    """Ten leaky layers at PyTorch's default."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(10))
        self.head = nn.Linear(64, 10)

    def forward(self, x):  # (B, 64)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)  # (B, 64)
        return self.head(x)  # (B, 10)


class LeakyHeStack(LeakyStack):
    """The same layers, initialized for the leaky ReLU."""

    def __init__(self):
        super().__init__()
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(layer.bias)


def without_gradient(activation: nn.Module, shift: float) -> float:
    """The share of 256 units that get no gradient at all when every bias starts at -shift."""
    layer = nn.Linear(64, 256)
    nn.init.constant_(layer.bias, -shift)
    activation(layer(torch.randn(128, 64))).sum().backward()  # (B, 64) -> (B, 256)
    return (layer.weight.grad.abs().sum(dim=1) == 0).float().mean().item()


if __name__ == "__main__":
    print("units without a gradient")
    for shift in (0, 1, 2, 4):
        torch.manual_seed(0)
        dead, leaky = without_gradient(nn.ReLU(), shift), without_gradient(nn.LeakyReLU(SLOPE), shift)
        print(f"  bias -{shift}: ReLU {dead:4.0%}, leaky ReLU {leaky:.0%}")
