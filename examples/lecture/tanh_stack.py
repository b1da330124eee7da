"""A stack of tanh layers, as PyTorch initializes it and as Glorot and Bengio would.

The lecture: a gradient that passes a layer is multiplied by its weights and by the slope of its activation. PyTorch gives
every nn.Linear weights with std·√fan_in = 1/√3 = 0.58, so each layer lets through little more than half of the gradient,
and sixteen layers 0.58^16, a ten-thousandth. Tanh takes the blame for it, and yet a larger initialization is all it needs:
near zero tanh has slope 1 and loses nothing.

netcheck says:
    TanhStack    warning NC501 poor-init: the gradient loses 4 decades; with xavier_uniform_ at gain 5/3 it would not
                 noted: NC101, NC301, NC401
    XavierStack  nothing
                 noted: NC101, NC301, NC401
"""

import torch
from torch import nn
from torch.nn import functional as F


class TanhStack(nn.Module):
    """Sixteen tanh layers at PyTorch's default initialization: the first ones never learn."""

    def __init__(self, features: int = 64, depth: int = 16, classes: int = 4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(features, features) for _ in range(depth))
        self.head = nn.Linear(features, classes)

    def forward(self, x):  # (B, features)
        for layer in self.layers:
            x = torch.tanh(layer(x))  # (B, features)
        return self.head(x)  # (B, classes)


class XavierStack(TanhStack):
    """The same layers, initialized for tanh."""

    def __init__(self):
        super().__init__()
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("tanh"))
            nn.init.zeros_(layer.bias)


def train(model: nn.Module, steps: int = 150) -> tuple[float, float]:
    """Fit four noisy clusters; return the first layer's gradient norm at the start, and the accuracy at the end."""
    centres = torch.randn(4, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    first = None
    for _ in range(steps):
        labels = torch.randint(4, (128,))  # (B,)
        logits = model(centres[labels] + torch.randn(128, 64))  # (B, classes)
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        first = first or model.layers[0].weight.grad.norm().item()
        optimizer.step()
    return first, (logits.argmax(1) == labels).float().mean().item()


if __name__ == "__main__":
    for build in (TanhStack, XavierStack):
        torch.manual_seed(0)
        gradient, accuracy = train(build())
        print(f"{build.__name__:12} first layer's gradient {gradient:.0e}   accuracy after 150 steps {accuracy:.0%}")
