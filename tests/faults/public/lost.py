"""Layers, parameters and gradients that are lost, biases that do nothing, and sequences the wrong way round."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class ListOfLayers(nn.Module):
    """A plain list of layers."""

    def __init__(self, sizes=(16, 32, 32, 4)):
        super().__init__()
        self.layers = []
        for i in range(len(sizes) - 1):
            self.layers.append(nn.Linear(sizes[i], sizes[i + 1]))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


class DictOfHeads(nn.Module):
    """A plain dict of heads."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(10, 32), nn.ReLU())
        self.heads = {"age": nn.Linear(32, 1), "sex": nn.Linear(32, 2)}

    def forward(self, x):
        h = self.backbone(x)
        return {name: head(h) for name, head in self.heads.items()}


class ParametersInList(nn.Module):
    """Parameters in a plain list."""

    def __init__(self):
        super().__init__()
        self.weights = [nn.Parameter(torch.randn(8, 8) / math.sqrt(8)) for _ in range(3)]
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        for w in self.weights:
            x = torch.tanh(x @ w)
        return self.fc(x)


class TensorAttribute(nn.Module):
    """A parameter wrapped in a tensor: torch.nn.Parameter(...).cuda() and the like leave a plain tensor."""

    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(16)) * 1.0
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc(x * self.alpha)


class PositionalEncoding(nn.Module):
    """The table is a plain attribute."""

    def __init__(self, d_model=16, max_len=100):
        super().__init__()
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(max_len).unsqueeze(1).float()
        div = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div)
        pe[:, 1::2] = torch.cos(position * div)
        self.pe = pe.unsqueeze(0)
        self.proj = nn.Linear(d_model, 4)

    def forward(self, x):
        return self.proj(x + self.pe[:, : x.size(1)])


class UnusedLayers(nn.Module):
    """fc_extra and bn2 are never called."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.bn2 = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn1(self.conv2(x)[:, :8]))
        x = torch.cat([x, x], 1)
        return self.fc(x.mean((2, 3)))


class UnusedDecoder(nn.Module):
    """One of four blocks is skipped by an index."""

    def __init__(self):
        super().__init__()
        self.up = nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        for i in range(3):
            x = F.gelu(self.up[i](x))
        return self.out(x)


class DetachedBranch(nn.Module):
    """The attention branch is detached before it is used, and used nowhere else."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.attention = nn.Sequential(nn.Conv2d(8, 1, 1), nn.Sigmoid())
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        f = self.features(x)
        a = self.attention(f).detach()
        return self.fc((f * a).mean((2, 3)))


class NoGradEncoder(nn.Module):
    """The encoder runs under no_grad and is not frozen."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32))
        self.decoder = nn.Linear(32, 20)

    def forward(self, x):
        with torch.no_grad():
            z = self.encoder(x)
        return self.decoder(F.relu(z))


class ThroughArgmax(nn.Module):
    """A hard choice by argmax."""

    def __init__(self):
        super().__init__()
        self.router = nn.Linear(12, 3)
        self.table = nn.Parameter(torch.randn(3, 8))
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        choice = self.router(x).argmax(-1)
        return self.fc(self.table[choice])


class TimeFirst(nn.Module):
    """nn.LSTM without batch_first on (N, T, F); the last step is taken on dim 1."""

    def __init__(self, n_features=5, hidden=16):
        super().__init__()
        self.lstm = nn.LSTM(n_features, hidden, num_layers=2)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


class ConvGRU(nn.Module):
    """Convolutions over time, then a GRU that takes the batch for it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 16, 5, padding=2)
        self.gru = nn.GRU(16, 16)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        h = F.relu(self.conv(x)).permute(0, 2, 1)
        h, _ = self.gru(h)
        return self.fc(h)


class TransformerClassifier(nn.Module):
    """nn.TransformerEncoder without batch_first; the mean over tokens is one over the batch."""

    def __init__(self, vocab=40, d_model=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead=2, dim_feedforward=32)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.classifier = nn.Linear(d_model, 3)

    def forward(self, ids):
        x = self.encoder(self.embed(ids))
        return self.classifier(x.mean(dim=1))


class BiasBeforeNorm(nn.Module):
    def __init__(self, channels=(3, 16, 32)):
        super().__init__()
        layers = []
        for a, b in zip(channels[:-1], channels[1:]):
            layers.extend([nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.LeakyReLU(0.1)])
        self.body = nn.Sequential(*layers)
        self.fc = nn.Linear(channels[-1], 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.body(x), 1).flatten(1))


class BiasBeforeFunctionalNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(32, 10) / 4)
        self.b = nn.Parameter(torch.zeros(32))
        self.register_buffer("mean", torch.zeros(32))
        self.register_buffer("var", torch.ones(32))
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        h = F.linear(x, self.w, self.b)
        h = F.batch_norm(h, self.mean, self.var, training=self.training)
        return self.out(F.relu(h))
