"""Batch normalization: whatever the weights' scale, the next layer sees a standard one.

The lecture: small random weights, as AlexNet's std of 0.01, were fine for eight layers and hopeless for sixteen: the signal
and the gradient fade. Batch normalization divides every channel by its own standard deviation over the batch, so any scale
before it cancels, forward and backward. In evaluation it uses running means instead of the batch.

netcheck says:
    SmallWeights            error NC501 poor-init: nothing undoes the scale of the weights
                            noted: NC301, NC401
    NormalizedSmallWeights  nothing: the same weights, and a BatchNorm2d behind each layer
                            noted: NC401
"""

import torch
from torch import nn


def conv(n_in: int, n_out: int) -> nn.Conv2d:
    """A 3x3 convolution with the weights of 2012: std 0.01, whatever the fan_in."""
    layer = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)  # a norm would subtract a bias again
    nn.init.normal_(layer.weight, std=0.01)
    return layer


class SmallWeights(nn.Module):
    """Twelve convolutions with tiny weights."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([conv(3, 16), *(conv(16, 16) for _ in range(11))])
        self.norms = nn.ModuleList(nn.Identity() for _ in self.convs)
        self.head = nn.Linear(16 * 8 * 8, 10)

    def forward(self, image):  # (B, 3, 8, 8)
        x = image
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x)))  # (B, 16, 8, 8)
        return self.head(x.flatten(1))  # (B, 10)


class NormalizedSmallWeights(SmallWeights):
    """The same, with a batch normalization behind each."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in self.convs)


def first_gradient(model: nn.Module) -> float:
    """The norm of the first convolution's gradient."""
    logits = model(torch.randn(16, 3, 8, 8))  # (B, 10)
    nn.functional.cross_entropy(logits, torch.randint(10, (16,))).backward()
    return model.convs[0].weight.grad.norm().item()


if __name__ == "__main__":
    for build in (SmallWeights, NormalizedSmallWeights):
        torch.manual_seed(0)
        print(f"{build.__name__:23} first layer's gradient {first_gradient(build()):.0e}")
