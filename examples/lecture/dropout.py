"""Dropout on feature maps: drop channels, not pixels.

The lecture: dropout makes units do without each other. On the map of a convolution the neighbours of a dropped pixel know
nearly what it was, so dropping pixels hides little and only adds noise. Spatial dropout (nn.Dropout2d) drops whole channels.
Behind a flatten or a global pool the next layer has no map to read neighbours from, and plain dropout is right.

netcheck says:
    PixelDropout    warning NC201 elementwise-dropout-on-feature-map
    SpatialDropout  nothing
    FeatureDropout  nothing
"""

import torch
from torch import nn
from torch.nn import functional as F


class PixelDropout(nn.Module):
    """A small net for digits that drops single pixels of its first map."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.dropout = nn.Dropout(0.3)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32 * 7 * 7, 10)

    def forward(self, image):  # (B, 1, 28, 28)
        x = self.dropout(torch.relu(self.conv1(image)))  # (B, 32, 28, 28)
        x = F.max_pool2d(x, 2)  # (B, 32, 14, 14)
        x = torch.relu(self.conv2(x))  # (B, 32, 14, 14)
        x = F.max_pool2d(x, 2)  # (B, 32, 7, 7)
        return self.head(x.flatten(1))  # (B, 10)


class SpatialDropout(PixelDropout):
    """Drops whole channels of the first map, and fewer of them."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout2d(0.1)


class FeatureDropout(PixelDropout):
    """Drops features, where there is no map any more."""

    def forward(self, image):  # (B, 1, 28, 28)
        x = F.max_pool2d(torch.relu(self.conv1(image)), 2)  # (B, 32, 14, 14)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)  # (B, 32, 7, 7)
        return self.head(self.dropout(x.flatten(1)))  # (B, 10)


def recovered(dropout: nn.Module) -> float:
    """How much of what was dropped from a smooth map its neighbours give back: the share of variance, 0 to 1."""
    maps = F.avg_pool2d(torch.randn(16, 32, 34, 34), 3, stride=1)  # (B, C, H, W)
    kept = dropout(torch.ones_like(maps)) > 0  # (B, C, H, W)
    plus = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])[None, None].expand(32, 1, 3, 3)
    neighbours = [F.conv2d(x, plus, padding=1, groups=32) for x in (maps * kept, kept.float())]
    guess = neighbours[0] / neighbours[1].clamp(min=1)  # (B, C, H, W): the mean of the neighbours that are left
    return max(0.0, torch.corrcoef(torch.stack([guess[~kept], maps[~kept]]))[0, 1].nan_to_num().item()) ** 2


if __name__ == "__main__":
    for dropout in (nn.Dropout(0.3), nn.Dropout2d(0.3)):
        torch.manual_seed(0)
        print(f"{dropout!s:28} neighbours give back {recovered(dropout):.0%} of what it dropped")
