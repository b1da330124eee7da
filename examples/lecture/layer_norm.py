"""Layer normalization: each sample by itself, and what it cannot repair.

The lecture: batch normalization mixes the samples of a batch; layer normalization uses the mean and the variance of one
sample's own features, so it works for a batch of one and for sequences. It restores the size of a signal before each
activation. It does not change the slope of the activation behind it: a sigmoid's is at most 1/4 at the right size, too.

netcheck says:
    NormalizedSigmoids  error NC102 sigmoid-stack: the norms keep the signal, and the gradient vanishes all the same
                        noted: NC401
    NormalizedReLUs     nothing
                        noted: NC401
"""

import torch
from torch import nn


class NormalizedSigmoids(nn.Module):
    """Fourteen layers of linear, norm, sigmoid."""

    activation = nn.Sigmoid

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(self.layer() for _ in range(14)))
        self.head = nn.Linear(64, 10)

    def layer(self) -> nn.Sequential:
        """(B, 64) -> (B, 64)."""
        return nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), self.activation())

    def forward(self, x):  # (B, 64)
        return self.head(self.layers(x))  # (B, 10)


class NormalizedReLUs(NormalizedSigmoids):
    """Fourteen layers of linear, norm, ReLU."""

    activation = nn.ReLU


def depends_on_others(norm: nn.Module) -> bool:
    """Whether a sample's output changes with the rest of its batch."""
    batch = torch.randn(8, 64)  # (B, features)
    return not torch.allclose(norm(batch)[:4], norm(batch[:4]), atol=1e-6)


if __name__ == "__main__":
    torch.manual_seed(0)
    for norm in (nn.BatchNorm1d(64), nn.LayerNorm(64)):
        print(f"{type(norm).__name__:12} mixes samples: {depends_on_others(norm)}")
    for build in (NormalizedSigmoids, NormalizedReLUs):
        model = build()
        model(torch.randn(32, 64)).sum().backward()
        print(f"{build.__name__:19} first layer's gradient {model.layers[0][0].weight.grad.norm().item():.0e}")
