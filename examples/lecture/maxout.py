"""Maxout: a unit that learns its own activation as the largest of a few linear pieces.

The lecture: max(w₁·x, w₂·x) can become a ReLU, an absolute value or any convex function; it never saturates and never
dies, and costs as many weights as it has pieces. As in any net, the units must differ from the start: if all weights are
equal, all units of a layer compute the same, get the same gradient and stay copies of each other.

netcheck says:
    ConstantMaxout  error NC502 constant-weights: the units are copies of each other
    MaxoutStack     warning NC501 poor-init: sixteen layers at PyTorch's default are too many
                    noted: NC301, NC401
    MaxoutNet       nothing: two of them are not
"""

import torch
from torch import nn


class Maxout(nn.Module):
    """The largest of `pieces` linear maps, unit by unit."""

    def __init__(self, n_in: int, n_out: int, pieces: int = 3):
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(n_in, n_out * pieces)

    def forward(self, x):  # (B, n_in)
        values = self.linear(x)  # (B, n_out * pieces)
        return values.view(len(x), -1, self.pieces).max(dim=-1).values  # (B, n_out)


class MaxoutNet(nn.Module):
    """Two layers: enough for a small task, and few enough for PyTorch's default."""

    def __init__(self, depth: int = 2):
        super().__init__()
        self.layers = nn.ModuleList(Maxout(16, 16) for _ in range(depth))
        self.head = nn.Linear(16, 1)

    def forward(self, x):  # (B, 16)
        for layer in self.layers:
            x = layer(x)  # (B, 16)
        return self.head(x)  # (B, 1)


class MaxoutStack(MaxoutNet):
    """The same, sixteen deep."""

    def __init__(self):
        super().__init__(depth=16)


class ConstantMaxout(MaxoutNet):
    """The same as the first, but every weight starts at 0.15."""

    def __init__(self):
        super().__init__()
        for layer in self.layers:
            nn.init.constant_(layer.linear.weight, 0.15)
            nn.init.zeros_(layer.linear.bias)


def train(model: nn.Module, steps: int = 300) -> float:
    """Learn |x₁| + |x₂|; return the mean squared error over the target's variance (1: learned nothing)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(steps):
        x = torch.randn(128, 16)  # (B, features)
        target = x[:, :2].abs().sum(dim=1, keepdim=True)  # (B, 1)
        loss = (model(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (loss / target.var()).item()


if __name__ == "__main__":
    for build in (ConstantMaxout, MaxoutStack, MaxoutNet):
        torch.manual_seed(0)
        print(f"{build.__name__:15} unexplained variance {train(build()):.0%}")
