"""DropConnect: drop weights instead of units.

The lecture: dropout silences whole units, DropConnect single connections. In training each weight is used with probability
1 - p and scaled up by 1 / (1 - p), so that its mean stays what it was. Its mean square does not: that grows by 1 / (1 - p),
and the size of signal and gradient with its root. One such layer at p = 0.5 is what the paper has, and does no harm; ten of
them at p = 0.8 let both explode in training, while evaluation, without masks, looks healthy.

netcheck says:
    HarshStack   warning NC501 poor-init: the masked weights, as training sees them, are twice as large as they should be
                 noted: NC301, NC401
    GentleStack  nothing
                 noted: NC301, NC401
"""

import torch
from torch import nn
from torch.nn import functional as F


class DropConnect(nn.Linear):
    """A linear layer that leaves out a share `p` of its weights in training."""

    def __init__(self, n_in: int, n_out: int, p: float):
        super().__init__(n_in, n_out)
        self.p = p
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x):  # (B, n_in)
        weight = F.dropout(self.weight, self.p, self.training)  # (n_out, n_in)
        return F.linear(x, weight, self.bias)  # (B, n_out)


class HarshStack(nn.Module):
    """Ten ReLU layers that keep one weight in five."""

    def __init__(self, p: float = 0.8):
        super().__init__()
        self.layers = nn.ModuleList(DropConnect(64, 64, p) for _ in range(10))
        self.head = nn.Linear(64, 10)

    def features(self, x):  # (B, 64)
        for layer in self.layers:
            x = torch.relu(layer(x))  # (B, 64)
        return x

    def forward(self, x):  # (B, 64)
        return self.head(self.features(x))  # (B, 10)


class GentleStack(HarshStack):
    """Ten ReLU layers that keep seven weights in ten."""

    def __init__(self):
        super().__init__(p=0.3)


if __name__ == "__main__":
    print("size of the last features")
    for build in (HarshStack, GentleStack):
        torch.manual_seed(0)
        model, x = build(), torch.randn(256, 64)
        training, evaluation = (model.train(mode).features(x).square().mean().sqrt().item() for mode in (True, False))
        print(f"  {build.__name__:12} {training:7.2g} in training, {evaluation:.2g} in evaluation")
