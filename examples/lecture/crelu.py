"""Concatenated ReLU: keep both halves of the signal.

The lecture: the filters that a ReLU net learns in its first layers come in pairs of opposite sign, because a ReLU throws one
sign away. CReLU(x) = [relu(x), relu(-x)] keeps both, so half as many filters do. It gives twice the channels and loses
nothing: for each pair exactly one side is open. The next layer has twice the fan_in, and PyTorch's default is too
small for it as for any ReLU.

netcheck says:
    CReLUStack    warning NC501 poor-init: ten layers lose 4 decades
                  noted: NC301, NC401
    CReLUHeStack  nothing
                  noted: NC301, NC401
"""

import torch
from torch import nn


class CReLU(nn.Module):
    """[relu(x), relu(-x)]."""

    def forward(self, x):  # (B, C, H, W)
        return torch.cat([torch.relu(x), torch.relu(-x)], dim=1)  # (B, 2C, H, W)


class CReLUStack(nn.Module):
    """Ten convolutions at PyTorch's default."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(9))
        self.crelu = CReLU()
        self.head = nn.Linear(2 * width * 8 * 8, 10)

    def forward(self, image):  # (B, 3, 8, 8)
        x = self.crelu(self.stem(image))  # (B, 2 * width, 8, 8)
        for layer in self.layers:
            x = self.crelu(layer(x))  # (B, 2 * width, 8, 8)
        return self.head(x.flatten(1))  # (B, 10)


class CReLUHeStack(CReLUStack):
    """The same layers, initialized for a ReLU."""

    def __init__(self):
        super().__init__()
        for layer in (self.stem, *self.layers):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.randn(1, 4)
    print("x       ", [round(value, 2) for value in x[0].tolist()])
    print("ReLU(x) ", [round(value, 2) for value in torch.relu(x)[0].tolist()])
    print("CReLU(x)", [round(value, 2) for value in CReLU()(x)[0].tolist()])
    images = torch.randn(8, 3, 8, 8)  # (B, C, H, W)
    for build in (CReLUStack, CReLUHeStack):
        print(f"{build.__name__:13} std of the logits over 8 images {build()(images).std(dim=0).mean().item():.0e}")
