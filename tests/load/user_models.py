"""Models as people write them, each with the shapes of the inputs that it must get.

`EXPECTED` is checked against the inferred tensors: shapes by argument, "long" or "bool" where not floating.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MODELS: list[Case] = []


@dataclass
class Case:
    """A model and what must be inferred for it."""

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[Any, ...]  # one shape per argument in order; None: any


def model(*shapes: Any) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register a model class."""

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        MODELS.append(Case(cls.__name__, cls, shapes))
        return cls

    return register


@model((2, 1, 32, 32))
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.view(-1, 16 * 5 * 5))))


@model((2, 16, 28))
class RowByRow(nn.Module):
    """A state that is None: zeros."""

    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.LSTM(28, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        r_out, (h_n, h_c) = self.rnn(x, None)
        return self.out(r_out[:, -1, :])


@model((2, 1, 28, 28))
class MnistNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.dropout = nn.Dropout(0.25)
        self.fc1, self.fc2 = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return F.log_softmax(self.fc2(F.relu(self.fc1(torch.flatten(self.dropout(x), 1)))), dim=1)


@model((2, 1, 28, 28))
class ViewMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 100), nn.Linear(100, 10)

    def forward(self, x):
        return self.fc2(torch.sigmoid(self.fc1(x.view(-1, 784))))


@model(None)
class FlattenMlp(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, 10))


@model((2, 3, 32, 32))
class CifarNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x.reshape(x.size(0), -1))


@model((2, 16))
class LstmClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 64, padding_idx=0)
        self.lstm = nn.LSTM(64, 32, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(64, 2)

    def forward(self, text):
        _, (hidden, _) = self.lstm(self.embedding(text))
        return self.fc(torch.cat([hidden[-2], hidden[-1]], dim=1))


@model((2, 16, 5))
class SequenceRegressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden_size, self.num_layers = 20, 2
        self.lstm = nn.LSTM(5, 20, 2, batch_first=True)
        self.fc = nn.Linear(20, 1)

    def forward(self, x):
        h0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size).to(x.device)
        c0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size).to(x.device)
        out, _ = self.lstm(x, (h0, c0))
        return self.fc(out[:, -1, :])


class Block(nn.Module):
    def __init__(self, width, heads, longest):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.register_buffer("mask", torch.tril(torch.ones(longest, longest)).view(1, 1, longest, longest))
        self.heads = heads

    def forward(self, x):
        B, T, C = x.size()  # noqa: N806
        q, k, v = (
            part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for part in self.qkv(self.ln1(x)).split(C, dim=2)
        )
        attention = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
        attention = attention.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf")).softmax(-1)
        x = x + self.proj((attention @ v).transpose(1, 2).contiguous().view(B, T, C))
        return x + self.mlp(self.ln2(x))


@model((2, 8))
class CharGpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.block_size = 8
        self.token, self.position = nn.Embedding(65, 32), nn.Embedding(8, 32)
        self.blocks = nn.Sequential(Block(32, 4, 8), Block(32, 4, 8))
        self.head = nn.Linear(32, 65)

    def forward(self, idx, targets=None):
        B, T = idx.shape  # noqa: N806
        assert self.block_size >= T, "too long"
        logits = self.head(self.blocks(self.token(idx) + self.position(torch.arange(T, device=idx.device))))
        loss = None if targets is None else F.cross_entropy(logits.view(B * T, -1), targets.view(-1))
        return logits, loss


@model((2, 3, 224, 224))
class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def double(a, b):
            return nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1), nn.ReLU()
            )

        self.down = nn.ModuleList([double(3, 8), double(8, 16), double(16, 32), double(32, 64)])
        self.up = nn.ModuleList([double(96, 32), double(48, 16), double(24, 8)])
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        skips = []
        for stage in self.down[:-1]:
            x = stage(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for stage, skip in zip(self.up, reversed(skips), strict=True):
            x = stage(torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1))
        return self.out(x)


@model((2, 1, 28, 28))
class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.mu, self.logvar = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.fc1(x.view(-1, 784)))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


@model((2, 100, 1, 1))
class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(100, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
            nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
            nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z)


@model((2, 100))
class LinearGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(100, 128 * 8 * 8))
        self.blocks = nn.Sequential(
            nn.BatchNorm2d(128), nn.Upsample(scale_factor=2), nn.Conv2d(128, 3, 3, padding=1)
        )

    def forward(self, z):
        out = self.l1(z)
        return self.blocks(out.view(out.shape[0], 128, 8, 8))


@model((2, 1, 105, 105), (2, 1, 105, 105))
class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, 10),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 7),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 4),
        )
        self.linear, self.out = nn.Linear(16 * 18 * 18, 64), nn.Linear(64, 1)

    def once(self, x):
        return torch.sigmoid(self.linear(self.conv(x).view(x.size(0), -1)))

    def forward(self, x1, x2):
        return self.out(torch.abs(self.once(x1) - self.once(x2)))


@model((2, 16), (2, 16))
class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(50, 32), nn.Embedding(60, 32)
        self.encoder, self.decoder = nn.GRU(32, 32, batch_first=True), nn.GRU(32, 32, batch_first=True)
        self.fc = nn.Linear(32, 60)

    def forward(self, src, tgt):
        _, hidden = self.encoder(self.source(src))
        out, _ = self.decoder(self.target(tgt), hidden)
        return self.fc(out)


@model((16, 2), (16, 16))
class TransformerLanguageModel(nn.Module):
    """The PyTorch tutorial's: sequence first, with a mask."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(100, 32)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(32, 4, 64), 2, enable_nested_tensor=False
        )
        self.register_buffer("pe", torch.zeros(500, 1, 32))
        self.decoder = nn.Linear(32, 100)

    def forward(self, src, src_mask):
        x = self.encoder(src) * math.sqrt(32)
        return self.decoder(self.layers(x + self.pe[: x.size(0)], src_mask))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x, mask):
        q, k, v = (part.unflatten(-1, (4, 8)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / 8**0.5
        scores = scores.masked_fill(mask == 0, -1e9)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


@model((2, 16), None)
class MaskedTransformer(nn.Module):
    """The annotated transformer's encoder: the mask must broadcast against (batch, heads, length, length)."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.layers = nn.ModuleList([Attention(), Attention()])

    def forward(self, tokens, mask):
        x = self.embed(tokens)
        for layer in self.layers:
            x = x + layer(x, mask)
        return x


@model((2, 1, 16000))
class RawAudio(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.pool1 = (
            nn.Conv1d(1, 32, kernel_size=80, stride=16),
            nn.BatchNorm1d(32),
            nn.MaxPool1d(4),
        )
        self.conv2, self.bn2, self.pool2 = (
            nn.Conv1d(32, 32, kernel_size=3),
            nn.BatchNorm1d(32),
            nn.MaxPool1d(4),
        )
        self.fc = nn.Linear(32, 35)

    def forward(self, x):
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        return self.fc(F.avg_pool1d(x, x.shape[-1]).permute(0, 2, 1)).squeeze(1)


@model((2, 3, 16, 112, 112))
class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(3, 8, 3, padding=1), nn.Conv3d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = F.max_pool3d(F.relu(self.conv1(x)), 2)
        return self.fc(F.adaptive_avg_pool3d(F.relu(self.conv2(x)), 1).flatten(1))


@model((2, 3, 224, 224))
class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 7, stride=8)
        self.fc = nn.LazyLinear(10)

    def forward(self, x):
        return self.fc(torch.flatten(F.relu(self.conv(x)), 1))


@model((2, 3, 224, 224), (2, 16))
class DictInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.text, self.head = nn.EmbeddingBag(100, 8), nn.Linear(16, 2)

    def forward(self, batch):
        return self.head(torch.cat([self.vision(batch["image"]), self.text(batch["tokens"])], dim=-1))


@model((2, 6), (2, 7))
class TupleInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 4), nn.Linear(7, 4)

    def forward(self, inputs):
        x, y = inputs
        return self.a(x) + self.b(y)


@model((2, 16, 32, 32), (2, 32, 32, 32))
class ListInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.lateral = nn.ModuleList([nn.Conv2d(16, 8, 1), nn.Conv2d(32, 8, 1)])

    def forward(self, features: list[Tensor]):
        return [conv(feature) for conv, feature in zip(self.lateral, features, strict=True)]


class Sample(NamedTuple):
    dense: Tensor
    ids: Tensor


@model((2, 4), (2, 16))
class NamedTupleInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.emb = nn.Linear(4, 8), nn.Embedding(10, 8)

    def forward(self, sample: Sample):
        return self.fc(sample.dense) + self.emb(sample.ids).mean(1)


@model((2, 1, 64, 64), (2,))
class Diffusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.down = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.time = nn.Sequential(nn.Linear(16, 16), nn.SiLU())
        self.up, self.out = nn.ConvTranspose2d(16, 16, 2, 2), nn.Conv2d(32, 1, 1)

    def forward(self, x, t):
        frequencies = torch.exp(torch.arange(8, device=t.device) * -0.5)
        angles = t[:, None].float() * frequencies[None]
        embedding = self.time(torch.cat([angles.sin(), angles.cos()], -1))[:, :, None, None]
        first = self.inc(x)
        second = F.silu(self.down(first) + embedding)
        return self.out(torch.cat([self.up(second), first], 1))


@model((2, 3), (2, 5))
class Tabular(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.ModuleList([nn.Embedding(n, 4) for n in (12, 7, 3)])
        self.bn, self.fc = nn.BatchNorm1d(5), nn.Linear(17, 1)

    def forward(self, x_cat, x_cont):
        x = torch.cat([e(x_cat[:, i]) for i, e in enumerate(self.embeddings)], 1)
        return self.fc(torch.cat([x, self.bn(x_cont)], 1))


@model((16,), (2,))
class BagClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.fc = nn.EmbeddingBag(500, 16), nn.Linear(16, 4)

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


@model((2, 13), None)
class Dlrm(nn.Module):
    def __init__(self):
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(13, 16), nn.ReLU())
        self.tables = nn.ModuleList([nn.Embedding(n, 16) for n in range(10, 36)])
        self.top = nn.Linear(16 + 27 * 26 // 2, 1)

    def forward(self, dense, sparse):
        x = self.bottom(dense)
        vectors = torch.stack([x] + [table(sparse[:, i]) for i, table in enumerate(self.tables)], dim=1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))
        rows, columns = torch.tril_indices(27, 27, offset=-1)
        return self.top(torch.cat([x, products[:, rows, columns]], dim=1))


@model((2, 10))
class RawParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(10, 20)), nn.Parameter(torch.zeros(20))
        self.w2 = nn.Parameter(torch.randn(20, 1))

    def forward(self, x):
        return torch.tanh(x @ self.w1 + self.b1) @ self.w2


@model((16, 2, 12), (4, 2, 10))
class BidirectionalGru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(12, 10, num_layers=2, bidirectional=True)

    def forward(self, x, h0):
        return self.gru(x, h0)


@model((16, 2, 32))
class SequenceFirstEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=False)
        self.attention = nn.MultiheadAttention(32, 4)

    def forward(self, x):
        x = self.layer(x)
        return self.attention(x, x, x)[0]


@model((2, 16))
class LengthFixed(nn.Module):
    """A transformer whose learned positions fix the length."""

    def __init__(self):
        super().__init__()
        self.embed, self.positions = nn.Embedding(30, 8), nn.Parameter(torch.zeros(1, 24, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, ids):
        return self.encoder(self.embed(ids) + self.positions)


MODELS[-1].shapes = ((2, 24),)


@model((2, 3, 224, 224))
class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 16, 16)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, 32)), nn.Parameter(torch.zeros(1, 65, 32))
        self.block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)

    def forward(self, img):
        x = self.patch(img).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        return self.block(x)[:, 0]


MODELS[-1].shapes = ((2, 3, 128, 128),)


@model((2, 80, 16), None)
class SpeechFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.rnn, self.fc = (
            nn.Conv1d(80, 32, 3, stride=2),
            nn.GRU(32, 32, batch_first=True),
            nn.Linear(32, 29),
        )

    def forward(self, mel):
        return self.fc(self.rnn(F.relu(self.conv(mel)).transpose(1, 2))[0])


MODELS[-1].shapes = ((2, 80, 128),)


@model((2, 1, 64, 64))
class SpectrogramCnn(nn.Module):
    """Adds its own channel axis."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(8, 5)

    def forward(self, spectrogram):
        return self.fc(self.conv(spectrogram.unsqueeze(1)).mean((2, 3)))


MODELS[-1].shapes = ((2, 64, 64),)


@model((2, 4), (2, 2))
class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.state, self.action, self.out = nn.Linear(4, 16), nn.Linear(2, 16), nn.Linear(32, 1)

    def forward(self, state, action):
        return self.out(F.relu(torch.cat([self.state(state), self.action(action)], -1)))


@model((2, 4, 84, 84))
class Dqn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(4, 32, 8, 4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1),
            nn.ReLU(),
        )
        self.fc = nn.Sequential(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 6))

    def forward(self, x):
        return self.fc(self.conv(x / 255.0).view(x.size(0), -1))


@model((2, 3, 66, 200))
class PilotNet(nn.Module):
    """Not square."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(3, 24, 5, 2),
            nn.Conv2d(24, 36, 5, 2),
            nn.Conv2d(36, 48, 5, 2),
            nn.Conv2d(48, 64, 3),
            nn.Conv2d(64, 64, 3),
        )
        self.fc = nn.Linear(64 * 1 * 18, 10)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


MODELS[-1].shapes = (None,)


@model((2,), (2,))
class MatrixFactorization(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(100, 8), nn.Embedding(50, 8)

    def forward(self, user, item):
        return (self.users(user) * self.items(item)).sum(-1)


MODELS[-1].shapes = (None, None)


@model((2, 16), None)
class FieldOffsets(nn.Module):
    """A factorization machine: one table for all fields, shifted by offsets."""

    def __init__(self):
        super().__init__()
        self.register_buffer("offsets", torch.tensor([0, 10, 15, 40]))
        self.table, self.linear = nn.Embedding(47, 8), nn.Linear(32, 1)

    def forward(self, x):
        return self.linear(self.table(x + self.offsets).flatten(1))


MODELS[-1].shapes = ((2, 4),)


@model((2, 16, 3))
class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Conv1d(3, 64, 1), nn.BatchNorm1d(64), nn.ReLU(), nn.Conv1d(64, 128, 1))
        self.fc = nn.Linear(128, 10)

    def forward(self, points):
        return self.fc(self.mlp(points.transpose(2, 1)).max(2)[0])


MODELS[-1].shapes = (None,)


@model((2, 4), (2, 16))
class PackedLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.fc = nn.Embedding(20, 8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, tokens, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        return self.fc(self.lstm(packed)[1][0][-1])


MODELS[-1].shapes = ((2, 16), (2,))


@model((2, 8), (2, 2, 16), (2, 2, 16))
class LstmStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, num_layers=2, batch_first=True)

    def forward(self, x, hidden):
        return self.lstm(x, hidden)


MODELS[-1].shapes = ((2, 16, 8), (2, 2, 16), (2, 2, 16))


@model((2, 3, 32, 32), (2,))
class ConditionalGan(nn.Module):
    def __init__(self):
        super().__init__()
        self.label, self.fc = (
            nn.Embedding(10, 10),
            nn.Sequential(nn.Linear(110, 64), nn.ReLU(), nn.Linear(64, 784)),
        )

    def forward(self, noise, labels):
        return self.fc(torch.cat([noise, self.label(labels)], 1)).view(-1, 1, 28, 28)


MODELS[-1].shapes = ((2, 100), (2,))


@model((2, 3), None)
class GraphConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1, self.w2 = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x, adj):
        return self.w2(adj @ F.relu(adj @ self.w1(x)))


@model((2, 3), (2, 16))
class EdgeMessages(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 8)

    def forward(self, x, edge_index):
        source, target = edge_index
        h = self.lin(x)
        return torch.zeros_like(h).index_add(0, target, h[source])


MODELS[-1].shapes = ((2, 3), None)


@model((2, 3, 224, 224))
class WithFlag(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x, return_features, scale: float, steps: int):
        features = self.conv(x).mean((2, 3)) * scale
        for _ in range(steps):
            features = features + 1
        return (self.fc(features), features) if return_features else self.fc(features)


MODELS[-1].shapes = ((2, 3, 224, 224), (), (), ())


@model((2, 16, 16), None)
class MlpMixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.channels = nn.Linear(49, 49), nn.Linear(32, 32)

    def forward(self, x):
        x = x + self.channels(x)
        return x + self.tokens(x.transpose(1, 2)).transpose(1, 2)


MODELS[-1].shapes = ((2, 49, 32),)


@model((2, 3, 224, 224))
class NestedWrapper(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU())

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


@model((2, 8), (2, 6))
class GatheredByNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 4), nn.Linear(6, 4)

    def forward(self, *inputs):
        x, y = inputs
        return torch.relu(self.a(x)) + self.b(y)


@model((2, 8), (2, 6))
class GatheredByNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 4), nn.Linear(6, 4)

    def forward(self, *inputs):
        return torch.relu(self.a(inputs[0])) + self.b(inputs[1])


@model((2, 28), (2, 10))
class JoinedTwice(nn.Module):
    """The label goes into the encoder and, as a vector, into the decoder as well."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(38, 4), nn.Linear(14, 28)

    def forward(self, x, y):
        z = torch.relu(self.encoder(torch.cat([x, y], dim=1)))
        return self.decoder(torch.cat([z, y], dim=1))


@model((2, 2))
class CoordinateNet(nn.Module):
    """A physics-informed net: takes the gradient of its output."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, coords):
        coords = coords.clone().requires_grad_(True)
        y = self.net(coords)
        return torch.autograd.grad(y.sum(), coords, create_graph=True)[0]


@model((2, 3), (2, 3))
class ValueDependent(nn.Module):
    """Keeps the rows whose gate is open: how many depends on values."""

    def __init__(self):
        super().__init__()
        self.gate, self.a, self.b = nn.Linear(3, 1), nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x):
        open_ = self.gate(x).squeeze(-1) > 0
        out = torch.zeros(len(x), 4)
        out[open_] = self.a(x[open_])
        if open_.sum().item() < len(x):
            out[~open_] = self.b(x[~open_])
        return out


MODELS[-1].shapes = ((2, 3),)


@model((2, 3, 224, 224), None)
class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj, self.norm = nn.Linear(3, 16), nn.LayerNorm(16)

    def forward(self, x):
        b, h, w, _ = x.shape
        return self.norm(self.proj(x)).reshape(b, h * w, -1)


MODELS[-1].shapes = ((2, 224, 224, 3),)


@model((2, 16), (2, 16), (2,))
class WithTargets(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.fc = nn.Embedding(30, 8), nn.Linear(8, 30)

    def forward(self, inputs, targets):
        logits = self.fc(self.embed(inputs))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


MODELS[-1].shapes = ((2, 16), (2, 16))


@model((2, 3, 224, 224), (2, 3, 224, 224))
class OpticalFlow(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(6, 16, 7, 2, 3), nn.ReLU(), nn.Conv2d(16, 2, 3, padding=1))

    def forward(self, image1, image2):
        return F.interpolate(self.conv(torch.cat([image1, image2], 1)), scale_factor=2)


@model((2, 1), (2, 1))
class HalfPrecision(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 2).to(torch.bfloat16)

    def forward(self, x):
        return self.fc(x)


MODELS[-1].shapes = ((2, 6),)


@model((2, 90))
class Radiance(nn.Module):
    """One vector holds positions and directions: the split says how long it is."""

    def __init__(self):
        super().__init__()
        self.position, self.direction, self.rgb = nn.Linear(63, 64), nn.Linear(64 + 27, 32), nn.Linear(32, 3)

    def forward(self, x):
        points, views = torch.split(x, [63, 27], dim=-1)
        return self.rgb(F.relu(self.direction(torch.cat([F.relu(self.position(points)), views], -1))))


@model((2, 1, 48, 48), (2, 256), (2, 256))
class ActorCritic(nn.Module):
    """An observation and an LSTM cell's state, nested in tuples."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(n, 32, 3, stride=2, padding=1) for n in (1, 32, 32, 32)])
        self.lstm, self.actor = nn.LSTMCell(32 * 3 * 3, 256), nn.Linear(256, 6)

    def forward(self, inputs):
        x, (hx, cx) = inputs
        for conv in self.convs:
            x = F.elu(conv(x))
        hx, cx = self.lstm(x.view(-1, 32 * 3 * 3), (hx, cx))
        return self.actor(hx), (hx, cx)


@model((2,), (2, 2), None)
class TwoTower(nn.Module):
    """A dict whose keys only the subscripts tell."""

    def __init__(self):
        super().__init__()
        self.users, self.items, self.mix = nn.Embedding(1000, 16), nn.Embedding(500, 16), nn.Linear(18, 16)

    def forward(self, features):
        items = self.mix(torch.cat([self.items(features["item_id"]), features["genres"]], -1))
        return (self.users(features["user_id"]) * items).sum(-1)


@model((2, 20, 12))
class Checked(nn.Module):
    """Says what it wants in checks alone."""

    def __init__(self):
        super().__init__()
        self.width, self.fc = 12, nn.Linear(12, 4)

    def forward(self, x):
        if x.ndim != 3:
            raise ValueError("expected (batch, time, features)")
        if x.shape[-1] != self.width:
            raise ValueError("wrong features")
        if x.shape[1] % 5:
            raise ValueError("time must be a multiple of five")
        return self.fc(x)


@model((16, 2), (16, 2))
class TeacherForcing(nn.Module):
    """Sequence first, as an LSTM takes it, and one token at a time."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(40, 16), nn.Embedding(50, 16)
        self.encoder, self.decoder, self.fc = nn.LSTM(16, 32), nn.LSTM(16, 32), nn.Linear(32, 50)

    def forward(self, src, trg, ratio=0.5):
        state, token, out = self.encoder(self.source(src))[1], trg[0, :], []
        for step in range(1, trg.shape[0]):
            y, state = self.decoder(self.target(token.unsqueeze(0)), state)
            out.append(self.fc(y.squeeze(0)))
            token = trg[step] if torch.rand(()).item() < ratio else out[-1].argmax(1)
        return torch.stack(out)


@model((2, 16, 7), (2, 16))
class KeywordsOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 2)

    def forward(self, *, x, mask):
        return self.fc(x) * mask.unsqueeze(-1)


@model((2,), (2, 2))
class OrdinaryDifferentialEquation(nn.Module):
    """Takes a time that it does not use."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))

    def forward(self, t, y):
        return self.net(y**3)


@model((2, 16, 16))
class MixtureOfExperts(nn.Module):
    """Which tokens go where depends on values."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(16, 4), nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])

    def forward(self, x):
        B, T, C = x.shape  # noqa: N806
        tokens = x.view(-1, C)
        weights, chosen = self.gate(tokens).softmax(-1).topk(2)
        out = torch.zeros_like(tokens)
        for index, expert in enumerate(self.experts):
            token, rank = torch.where(chosen == index)
            out[token] += weights[token, rank, None] * expert(tokens[token])
        return out.view(B, T, C)


@model((2, 3, 80, 80), (2, 18))
class AnswersAboutAnImage(nn.Module):
    """How large the image is and how long the question must be read off their sum."""

    def __init__(self):
        super().__init__()
        widths = (3, 24, 24, 24, 24)
        self.conv = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths))
        self.fc = nn.Linear(5 * 5 * 24 + 18, 10)

    def forward(self, image, question):
        for layer in self.conv:
            image = layer(image).relu()
        return self.fc(torch.cat((image.view(image.size(0), -1), question), 1))
