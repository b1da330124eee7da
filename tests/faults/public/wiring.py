"""Members held where torch does not look, branches that lead nowhere, skips that are none; the last four have no fault."""

import copy
import functools
import math
from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F


class PreactInplace(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.branch = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(c, c, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(c, c, 1))

    def forward(self, x):
        return x + self.branch(x)


def vqvae_encoder():
    return nn.Sequential(nn.Conv2d(3, 16, 4, 2, 1), PreactInplace(), PreactInplace(), nn.ReLU(), nn.Conv2d(16, 8, 1))


class WrongSwitch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        return self.b(F.dropout(torch.relu(self.a(x)), 0.5, not self.training))


class ListOfTuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = [("fc1", nn.Linear(16, 32)), ("fc2", nn.Linear(32, 32))]
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        for _, layer in self.stages:
            x = F.gelu(layer(x))
        return self.out(x)


class Namespace(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = SimpleNamespace(enc=nn.Linear(16, 32), dec=nn.Linear(32, 16))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.net.dec(F.relu(self.net.enc(x))) * self.scale


class Lambda(nn.Module):
    def __init__(self):
        super().__init__()
        proj = nn.Linear(16, 32)
        self.embed = lambda x: F.relu(proj(x))
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.embed(x))


class MemoryUnused(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.src, self.tgt = nn.Embedding(50, d), nn.Embedding(50, d)
        self.enc = nn.TransformerEncoderLayer(d, 4, 64, batch_first=True)
        self.dec = nn.TransformerDecoderLayer(d, 4, 64, batch_first=True)
        self.out = nn.Linear(d, 50)

    def forward(self, src, tgt):
        memory = self.enc(self.src(src))
        y = self.tgt(tgt)
        return self.out(self.dec(y, y))


class HalfSkip(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.f = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))

    def forward(self, x):
        return 0.5 * x + self.f(x)


def half_skips():
    return nn.Sequential(nn.Linear(8, 32), *[HalfSkip() for _ in range(8)], nn.Linear(32, 2))


class DropSkip(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.norm, self.f, self.drop = nn.LayerNorm(d), nn.Linear(d, d), nn.Dropout(0.1)

    def forward(self, x):
        return self.drop(x) + torch.relu(self.f(self.norm(x))) - 0.1


def drop_skips():
    return nn.Sequential(nn.Linear(8, 32), *[DropSkip() for _ in range(4)], nn.Linear(32, 2))


class Discretize(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.codes, self.dec = nn.Linear(16, 32), nn.Embedding(32, 24), nn.Linear(24, 16)

    def forward(self, x):
        tokens = self.enc(x).argmax(dim=-1)
        return self.dec(self.codes(tokens))


class Overwritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.conv = nn.Linear(6, 16), nn.LSTM(16, 16, batch_first=True), nn.Conv1d(16, 16, 3, padding=1)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        e = self.embed(x)
        h, _ = self.lstm(e)
        h = F.relu(self.conv(e.transpose(1, 2)))
        return self.fc(h.mean(-1))


class Partial(nn.Module):
    """A list comprehension of functools.partial around unregistered layers."""

    def __init__(self):
        super().__init__()
        self.fns = [functools.partial(lambda layer, x: torch.relu(layer(x)), nn.Linear(16, 16)) for _ in range(2)]
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        for fn in self.fns:
            x = fn(x)
        return self.head(x)


class TimeAverage(nn.Module):
    """Steps averaged after a transformer without batch_first."""

    def __init__(self, d=32):
        super().__init__()
        self.inp = nn.Linear(5, d)
        self.mha = nn.MultiheadAttention(d, 4)
        self.out = nn.Linear(d, 3)

    def forward(self, x):
        h = self.inp(x)
        a, _ = self.mha(h, h, h)
        return self.out((h + a).mean(dim=1))


class ThreeSkips(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.attn, self.ff = nn.Linear(d, d), nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x):
        y = x + torch.tanh(self.attn(self.n1(x)))
        z = self.ff(self.n2(y)) + y
        return z + y


def three_skips():
    return nn.Sequential(nn.Linear(8, 32), ThreeSkips(), ThreeSkips(), nn.Linear(32, 2))


class SwinLike(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.stem = nn.Conv2d(3, d, 2, 2)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.bias = nn.Parameter(torch.zeros(16, 16))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 4)

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1)
        b, h, w, c = x.shape
        y = torch.roll(self.norm(x), (-2, -2), (1, 2)).view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        q, k, v = self.qkv(y).chunk(3, -1)
        y = self.proj((q @ k.mT / math.sqrt(c) + self.bias).softmax(-1) @ v)
        y = y.view(b, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        x = x + torch.roll(y, (2, 2), (1, 2))
        return self.head(x.mean((1, 2)))


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()

    def forward(self, x):
        with torch.no_grad():
            t = self.teacher(x)
        return self.student(x), t


class SlotAttention(nn.Module):
    def __init__(self, d=16, n=4):
        super().__init__()
        self.mu, self.k, self.v, self.q = nn.Parameter(torch.randn(1, n, d)), nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.gru, self.norm_in, self.norm_s = nn.GRUCell(d, d), nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x):
        b, t, d = x.shape
        x = self.norm_in(x)
        k, v = self.k(x), self.v(x)
        s = self.mu.expand(b, -1, -1)
        for _ in range(3):
            q = self.q(self.norm_s(s))
            a = torch.softmax(k @ q.transpose(1, 2) * d**-0.5, dim=-1) + 1e-8
            a = a / a.sum(dim=1, keepdim=True)
            s = self.gru((a.transpose(1, 2) @ v).reshape(-1, d), s.reshape(-1, d)).view(b, -1, d)
        return s


class WaveBlock(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.inp = nn.Conv1d(1, c, 1)
        self.gate, self.filt = nn.Conv1d(c, c, 2, padding=1), nn.Conv1d(c, c, 2, padding=1)
        self.res, self.skip, self.end = nn.Conv1d(c, c, 1), nn.Conv1d(c, c, 1), nn.Conv1d(c, 32, 1)

    def forward(self, x):
        x = self.inp(x)
        z = torch.tanh(self.filt(x)) * torch.sigmoid(self.gate(x))
        z = z[..., :-1]
        return self.end(F.relu(self.skip(z) + self.res(z) + x))
