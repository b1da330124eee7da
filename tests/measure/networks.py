"""Twelve small networks of the kinds that are trained, each with a batch: for tests of what a training step holds and gives."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional


class Basic(nn.Module):
    """ResNet's block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        alike = stride == 1 and inputs == outputs
        self.skip = (
            nn.Identity() if alike else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return self.relu(y + self.skip(x))


class ResNet(nn.Module):
    """ResNet-18."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.stages = nn.Sequential(
            *(nn.Sequential(Basic(a, b, 1 if a == b else 2), Basic(b, b, 1)) for a, b in pairwise(widths))
        )
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


class Layer(nn.Module):
    """A transformer's layer, normalized first."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True, dropout=dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    def __init__(self, layers: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 8, 8)
        self.blocks = nn.ModuleList(Layer(64, 4, dropout) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class TiedEncoder(nn.Module):
    """Tokens in, tokens out, with one matrix for both."""

    def __init__(self, vocabulary: int = 500, dropout: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 64)
        self.blocks = nn.ModuleList(Layer(64, 4, dropout) for _ in range(3))
        self.head = nn.Linear(64, vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class DoubleConv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            *(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()),
            *(nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()),
        )


class UNet(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down1, self.down2 = DoubleConv(3, width), DoubleConv(width, 2 * width)
        self.bottom = DoubleConv(2 * width, 4 * width)
        self.up2, self.up1 = DoubleConv(6 * width, 2 * width), DoubleConv(3 * width, width)
        self.head, self.pool = nn.Conv2d(width, 2, 1), nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = functional.interpolate(self.bottom(self.pool(second)), scale_factor=2)
        x = functional.interpolate(self.up2(torch.cat((x, second), 1)), scale_factor=2)
        return self.head(self.up1(torch.cat((x, first), 1)))


class Experts(nn.Module):
    """A mixture of experts, each weighted by a gate."""

    def __init__(self, width: int = 32, experts: int = 4) -> None:
        super().__init__()
        self.gate = nn.Linear(width, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(experts)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.gate(x).softmax(-1)
        return torch.stack([weights[..., i, None] * expert(x) for i, expert in enumerate(self.experts)]).sum(0)


class MixtureOfExperts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = nn.Linear(16, 32), nn.ModuleList(Experts() for _ in range(3)), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **options: object) -> None:
        super().__init__()
        self.recurrence = kind(16, 32, batch_first=True, **options)
        self.head = nn.LazyLinear(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrence(x)[0])


class RootMeanSquare(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


class GroupedAttention(nn.Module):
    """Causal attention with fewer keys than queries, as in Llama."""

    def __init__(self, width: int, heads: int, keys: int) -> None:
        super().__init__()
        self.heads, self.keys, self.size = heads, keys, width // heads
        self.query, self.out = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.key, self.value = (nn.Linear(width, keys * self.size, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        query = self.query(x).view(batch, length, self.heads, self.size).transpose(1, 2)
        key = self.key(x).view(batch, length, self.keys, self.size).transpose(1, 2)
        value = self.value(x).view(batch, length, self.keys, self.size).transpose(1, 2)
        key, value = (each.repeat_interleave(self.heads // self.keys, 1) for each in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Gated(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class DecoderLayer(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, keys: int) -> None:
        super().__init__()
        self.norm1, self.attention = RootMeanSquare(width), GroupedAttention(width, heads, keys)
        self.norm2, self.mlp = RootMeanSquare(width), Gated(width, inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Llama(nn.Module):
    """A decoder as Llama is one; its defaults are those of the one with 70 billion parameters."""

    def __init__(
        self,
        width: int = 8192,
        inner: int = 28672,
        layers: int = 80,
        heads: int = 64,
        keys: int = 8,
        vocabulary: int = 128256,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(DecoderLayer(width, inner, heads, keys) for _ in range(layers))
        self.norm, self.head = RootMeanSquare(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def mlp() -> nn.Module:
    hidden = [layer for _ in range(4) for layer in (nn.Linear(128, 128), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(128, 10))


def vgg() -> nn.Module:
    widths = ((3, 16), (16, 32), (32, 32))
    stages = [part for i, o in widths for part in (nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    head = nn.Sequential(nn.Linear(32 * 16, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10))
    return nn.Sequential(nn.Sequential(*stages), nn.Flatten(), head)


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)


def recurrent(kind: type[nn.RNNBase], **options: object) -> nn.Module:
    model = Recurrent(kind, **options)
    model(torch.zeros(2, 3, 16))
    return model


def llama() -> nn.Module:
    return Llama(width=64, inner=160, layers=13, heads=4, keys=2, vocabulary=300)


class Network(NamedTuple):
    """What builds one, and a batch for it."""

    build: Callable[[], nn.Module]
    batch: Callable[[], torch.Tensor]


def images() -> torch.Tensor:
    return torch.randn(8, 3, 32, 32)


NETWORKS = {
    "mlp": Network(mlp, lambda: torch.randn(512, 128)),
    "vgg": Network(vgg, images),
    "resnet": Network(ResNet, lambda: torch.randn(8, 3, 64, 64)),
    "u-net": Network(UNet, images),
    "vision transformer": Network(VisionTransformer, images),
    "with dropout": Network(lambda: VisionTransformer(2, 0.1), images),
    "tied": Network(TiedEncoder, lambda: torch.randint(500, (4, 24))),
    "encoder": Network(encoder, lambda: torch.randn(4, 24, 64)),
    "experts": Network(MixtureOfExperts, lambda: torch.randn(8, 20, 16)),
    "lstm": Network(lambda: recurrent(nn.LSTM, num_layers=2), lambda: torch.randn(4, 12, 16)),
    "gru": Network(lambda: recurrent(nn.GRU, bidirectional=True), lambda: torch.randn(4, 12, 16)),
    "llama": Network(llama, lambda: torch.randint(300, (2, 32))),
}
