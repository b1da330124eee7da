"""Ten small architectures of different kinds, each with an input, built without downloads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from tests.zoo import declare_torchvision_operators

Made = tuple[nn.Module, torch.Tensor]


def torchvision(name: str, pixels: int = 32) -> Made:
    """One of torchvision's models, for ten classes."""
    declare_torchvision_operators()
    import torchvision.models

    return getattr(torchvision.models, name)(num_classes=10), torch.randn(2, 3, pixels, pixels)


def timm(name: str, **options: Any) -> Made:
    """One of timm's models, for ten classes."""
    declare_torchvision_operators()
    import timm as models

    return models.create_model(name, num_classes=10, **options), torch.randn(2, 3, 32, 32)


class Logits(nn.Module):
    """The logits of one of transformers' models, for tokens alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L) -> (N, L, vocabulary)."""
        logits: torch.Tensor = self.model(input_ids=tokens).logits
        return logits


def bert() -> Made:
    """A small encoder of words."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(vocab_size=100, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64)
    return Logits(BertForMaskedLM(config)), torch.randint(100, (2, 12))


def gpt() -> Made:
    """A small decoder of words."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=100, n_embd=32, n_layer=3, n_head=2, n_positions=32, use_cache=False)
    return Logits(GPT2LMHeadModel(config)), torch.randint(100, (2, 12))


def perceptron() -> Made:
    """Twelve layers with tanh."""
    layers = [layer for _ in range(12) for layer in (nn.Linear(64, 64), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), torch.randn(2, 64)


class Recurrent(nn.Module):
    """The last output of an LSTM, classified."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(16, 32, num_layers=2, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, L, 16) -> (N, 10)."""
        output: torch.Tensor = self.head(self.rnn(x)[0][:, -1])
        return output


def recurrent() -> Made:
    """An LSTM on short sequences."""
    return Recurrent(), torch.randn(2, 12, 16)


def encoder(samples: int = 2, length: int = 16, width: int = 32, layers: int = 3) -> Made:
    """A transformer encoder, as torch has it."""
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False), torch.randn(samples, length, width)


ARCHITECTURES: dict[str, Callable[[], Made]] = {
    "perceptron": perceptron,
    "recurrent": recurrent,
    "encoder": encoder,
    "resnet18": partial(torchvision, "resnet18"),
    "mobilenet_v3_small": partial(torchvision, "mobilenet_v3_small"),
    "squeezenet1_1": partial(torchvision, "squeezenet1_1"),
    "vit_tiny": partial(timm, "vit_tiny_patch16_224", img_size=32, depth=4),
    "convnext_atto": partial(timm, "convnext_atto"),
    "bert": bert,
    "gpt2": gpt,
}
