"""Sigmoid against ReLU, and why a ReLU wants weights of its own.

The lecture: a sigmoid's slope is at most 1/4, so every layer loses three quarters of the gradient or more, and no
initialization helps. A ReLU has slope 1 or 0: half of the signal passes unharmed. To make up for the other half, He et al.
draw weights with std = √(2 / fan_in); PyTorch's default of 1/√(3·fan_in) loses 0.4 decades a layer.

netcheck says:
    SigmoidStack  error NC102 sigmoid-stack: the activation is the cause, a ReLU would help
                  noted: NC301, NC401
    ReLUStack     warning NC501 poor-init: the activation is right, its weights are too small
                  noted: NC301, NC401
    HeStack       nothing
                  noted: NC301, NC401
"""

import torch
from torch import nn


class SigmoidStack(nn.Module):
    """Ten sigmoid layers. Even Xavier's initialization cannot save them."""

    activation = staticmethod(torch.sigmoid)

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(10))
        self.head = nn.Linear(64, 10)
        self.initialize()

    def initialize(self) -> None:
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):  # (B, 64)
        for layer in self.layers:
            x = self.activation(layer(x))  # (B, 64)
        return self.head(x)  # (B, 10)


class ReLUStack(SigmoidStack):
    """Ten ReLU layers at PyTorch's default."""

    activation = staticmethod(torch.relu)

    def initialize(self) -> None:
        pass


class HeStack(ReLUStack):
    """The same layers, initialized for ReLU."""

    def initialize(self) -> None:
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def gradients(model: nn.Module) -> list[float]:
    """The norm of each layer's weight gradient, the first layer's first."""
    logits = model(torch.randn(32, 64))  # (B, 10)
    (logits * torch.randn_like(logits)).sum().backward()
    return [layer.weight.grad.norm().item() for layer in model.layers]


if __name__ == "__main__":
    print("gradient of layer       1         4         7        10")
    for build in (SigmoidStack, ReLUStack, HeStack):
        torch.manual_seed(0)
        print(f"{build.__name__:14}" + "".join(f"{norm:10.0e}" for norm in gradients(build())[::3]))
