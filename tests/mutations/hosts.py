"""The healthy models: small ones of the zoo, and a few of the structures that it lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from tests.mutations.subject import Host
from tests.zoo import declare_torchvision_operators, zoo

FROM_ZOO = (
    "torchvision/resnet18", "torchvision/mobilenet_v2", "torchvision/squeezenet1_1",
    "timm/deit_tiny_patch16_224", "transformers/BertModel", "transformers/GPT2LMHeadModel",
)  # fmt: skip


class PreActivationBlock(nn.Module):
    """x + conv(relu(norm(x))), twice: the identity is never touched (He et al. 2016b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same."""
        y = self.conv1(self.relu(self.norm1(x)))
        y = self.conv2(self.relu(self.norm2(y)))
        return x + y


class PreActivationNet(nn.Module):
    """A stem, four blocks, a norm and a head."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*[PreActivationBlock(width) for _ in range(4)])
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, 10)."""
        x = F.relu(self.norm(self.blocks(self.stem(x))))
        return self.head(x.mean((2, 3)))


class Perceptron(nn.Module):
    """Plain layers with Kaiming's initialization: healthy as long as it is shallow."""

    def __init__(self, depth: int = 4, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(depth))
        self.head = nn.Linear(width, 10)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 64) -> (N, 10)."""
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = activation(layer(x))
        return self.head(x)


def own(name: str, build: Callable[[], nn.Module], *shape: int) -> Host:
    """A host of this file."""

    def seeded() -> nn.Module:
        torch.manual_seed(0)
        return build()

    return Host(name, seeded, lambda model: ((torch.randn(*shape),), {}))


@cache
def hosts() -> tuple[Host, ...]:
    """Every host; built when first used."""
    declare_torchvision_operators()
    entries = {entry.name: entry for entry in zoo()}
    return (
        own("preactivation", PreActivationNet, 4, 3, 16, 16),
        own("perceptron", Perceptron, 8, 64),
        *(Host(name, entries[name].build, entries[name].inputs) for name in FROM_ZOO if name in entries),
    )
