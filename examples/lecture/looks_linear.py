"""Looks-linear initialization: a deep net that starts as a linear map.

The lecture: without skips the gradients of a deep ReLU net are shattered: nearby inputs have unrelated ones. A CReLU net can
avoid that. With weights [W, -W] on the pair [relu(x), relu(-x)] a layer computes W relu(x) - W relu(-x) = W x: at the start
the net is one matrix, with the same gradient everywhere, and W orthogonal keeps its size. Training makes it nonlinear.

netcheck says:
    CReLUStack        warning NC503 not-looks-linear: the weights are not mirrored
                      noted: NC301
    LooksLinearStack  nothing
                      noted: NC301
"""

import torch
from torch import nn


class CReLUStack(nn.Module):
    """Sixteen CReLU layers with independent orthogonal weights."""

    def __init__(self, width: int = 32, depth: int = 16):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.layers = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(depth - 1))
        self.head = nn.Linear(2 * width, 10)
        for layer in self.layers:
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x):  # (B, 64)
        x = self.stem(x)  # (B, width)
        for layer in self.layers:
            x = layer(crelu(x))  # (B, width)
        return self.head(crelu(x))  # (B, 10)


class LooksLinearStack(CReLUStack):
    """The same layers with mirrored weights."""

    def __init__(self):
        super().__init__()
        for layer in (*self.layers, self.head):
            half = nn.init.orthogonal_(torch.empty(layer.out_features, layer.in_features // 2))
            layer.weight.data = torch.cat([half, -half], dim=1)  # (out, in)


def crelu(x):  # (B, n)
    """[relu(x), relu(-x)]."""
    return torch.cat([torch.relu(x), torch.relu(-x)], dim=1)  # (B, 2n)


def nonlinearity(model: nn.Module) -> float:
    """How far f(x + y) - f(0) is from (f(x) - f(0)) + (f(y) - f(0)), relative to its size: 0 for a linear map."""
    x, y = torch.randn(2, 256, 64)  # (B, features) each
    with torch.no_grad():
        zero, fx, fy, both = (model(v) for v in (torch.zeros_like(x), x, y, x + y))  # (B, 10) each
    return ((both - zero - (fx - zero) - (fy - zero)).norm() / (both - zero).norm()).item()


if __name__ == "__main__":
    for build in (CReLUStack, LooksLinearStack):
        torch.manual_seed(0)
        print(f"{build.__name__:17} nonlinearity at the start {nonlinearity(build()):.0e}")
