"""More models without a fault that resemble faulty ones."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


class Highway(nn.Module):
    def __init__(self, size, num_layers, f=torch.relu):
        super().__init__()
        self.nonlinear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.linear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.gate = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.f = f

    def forward(self, x):
        for nl, lin, g in zip(self.nonlinear, self.linear, self.gate):
            gate = torch.sigmoid(g(x))
            x = gate * self.f(nl(x)) + (1 - gate) * lin(x)
        return x


class CharCNN(nn.Module):
    """Kim 2016: convolutions over characters, highway, LSTM."""

    def __init__(self, chars=30, dim=8, words=40):
        super().__init__()
        self.emb = nn.Embedding(chars, dim)
        self.convs = nn.ModuleList(nn.Conv1d(dim, 8, k) for k in (2, 3, 4))
        self.highway = Highway(24, 2)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.out = nn.Linear(32, words)

    def forward(self, x):
        b, t, c = x.shape
        e = self.emb(x).view(b * t, c, -1).transpose(1, 2)
        h = torch.cat([torch.tanh(conv(e)).max(dim=2)[0] for conv in self.convs], dim=1)
        h = self.highway(h).view(b, t, -1)
        return self.out(self.lstm(h)[0])


class CRNN(nn.Module):
    """Text recognition: (N, C, 1, W) -> (W, N, C) for an LSTM without batch_first, log_softmax for CTC."""

    def __init__(self, classes=11):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU(True),
            nn.AdaptiveAvgPool2d((1, None)),
        )
        self.rnn = nn.LSTM(32, 24, bidirectional=True)
        self.fc = nn.Linear(48, classes)
        self.loss = nn.CTCLoss()

    def forward(self, x):
        f = self.cnn(x).squeeze(2).permute(2, 0, 1)
        y, _ = self.rnn(f)
        return F.log_softmax(self.fc(y), dim=2)


class BYOL(nn.Module):
    """The target branch is detached on purpose."""

    def __init__(self, d=24, h=32, p=16):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(d, h), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, p))
        self.target = nn.Sequential(nn.Linear(d, h), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, p))
        self.predictor = nn.Sequential(nn.Linear(p, h), nn.ReLU(), nn.Linear(h, p))
        for a, b in zip(self.online.parameters(), self.target.parameters()):
            b.data.copy_(a.data)
            b.requires_grad = False

    def forward(self, a, b):
        with torch.no_grad():
            t = self.target(b)
        p = self.predictor(self.online(a))
        return 2 - 2 * F.cosine_similarity(p, t, dim=-1)


class GradReverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lam):
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return g.neg() * ctx.lam, None


class DANN(nn.Module):
    def __init__(self):
        super().__init__()
        self.feature = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.label, self.domain = nn.Linear(64, 10), nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        f = self.feature(x)
        return self.label(f), self.domain(GradReverse.apply(f, 1.0))


class MDN(nn.Module):
    """Mixture density: softmax for the weights, exp for the widths."""

    def __init__(self, k=4):
        super().__init__()
        self.h = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.pi, self.mu, self.sigma = nn.Linear(32, k), nn.Linear(32, k), nn.Linear(32, k)

    def forward(self, x):
        h = self.h(x)
        return torch.softmax(self.pi(h), -1), self.mu(h), torch.exp(self.sigma(h))


class GAT(nn.Module):
    """Attention over neighbours: the nodes of one graph stand first."""

    def __init__(self, i=16, o=8):
        super().__init__()
        self.w, self.a = nn.Linear(i, o, bias=False), nn.Parameter(torch.randn(2 * o, 1) * 0.3)
        self.out = nn.Linear(o, 3)

    def forward(self, x, adj):
        h = self.w(x)
        o = h.shape[1]
        e = F.leaky_relu(h @ self.a[:o] + (h @ self.a[o:]).T, 0.2)
        e = e.masked_fill(adj <= 0, -9e15)
        return self.out(F.elu(torch.softmax(e, dim=1) @ h))


class FiLM(nn.Module):
    def __init__(self, c=16, cond=6):
        super().__init__()
        self.conv, self.norm, self.affine = nn.Conv2d(3, c, 3, bias=False), nn.BatchNorm2d(c, affine=False), nn.Linear(cond, 2 * c)
        self.out = nn.Linear(c, 4)

    def forward(self, x, z):
        gamma, beta = self.affine(z)[:, :, None, None].chunk(2, dim=1)
        return self.out(F.relu((1 + gamma) * self.norm(self.conv(x)) + beta).mean((2, 3)))


class DenseLayer(nn.Sequential):
    def __init__(self, c, g):
        super().__init__(nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.Conv2d(c, g, 3, padding=1, bias=False))

    def forward(self, x):
        return torch.cat([x, super().forward(x)], 1)


def densenet(g=8):
    c, layers = 16, [nn.Conv2d(3, 16, 3, padding=1, bias=False)]
    for _ in range(3):
        layers.append(DenseLayer(c, g))
        c += g
    return nn.Sequential(*layers, nn.BatchNorm2d(c), nn.ReLU(True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


class TCNBlock(nn.Module):
    def __init__(self, i, o, d):
        super().__init__()
        wn = nn.utils.parametrizations.weight_norm
        self.pad = 2 * d
        self.conv1, self.conv2 = wn(nn.Conv1d(i, o, 3, padding=2 * d, dilation=d)), wn(nn.Conv1d(o, o, 3, padding=2 * d, dilation=d))
        self.drop = nn.Dropout(0.2)
        self.down = nn.Conv1d(i, o, 1) if i != o else None

    def forward(self, x):
        y = self.drop(F.relu(self.conv1(x)[..., : -self.pad]))
        y = self.drop(F.relu(self.conv2(y)[..., : -self.pad]))
        return F.relu(y + (x if self.down is None else self.down(x)))


def tcn():
    return nn.Sequential(TCNBlock(4, 16, 1), TCNBlock(16, 16, 2), TCNBlock(16, 16, 4), nn.Conv1d(16, 2, 1))


class Perceiver(nn.Module):
    """Learned queries attend to the inputs."""

    def __init__(self, dim=32, n=8):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(n, dim) * 0.02)
        self.inp = nn.Linear(10, dim)
        self.cross = nn.MultiheadAttention(dim, 4, batch_first=True)
        self.ln_q, self.ln_kv, self.ln = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.head = nn.Linear(dim, 5)

    def forward(self, x):
        kv = self.ln_kv(self.inp(x))
        q = self.latents.unsqueeze(0).expand(x.size(0), -1, -1)
        q = q + self.cross(self.ln_q(q), kv, kv)[0]
        q = q + self.mlp(self.ln(q))
        return self.head(q.mean(1))


class MCDropout(nn.Module):
    """Monte Carlo dropout: stays on at test time, on purpose."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 64), nn.Linear(64, 1)

    def forward(self, x):
        return self.b(F.dropout(F.relu(self.a(x)), p=0.1, training=True))


class AttentionGate(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.g, self.x, self.psi = nn.Conv2d(2 * c, c, 1), nn.Conv2d(c, c, 1), nn.Conv2d(c, 1, 1)

    def forward(self, g, x):
        g = F.interpolate(self.g(g), scale_factor=2)
        return x * torch.sigmoid(self.psi(F.relu(g + self.x(x))))


class AttUNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.e, self.m = nn.Conv2d(3, c, 3, padding=1), nn.Conv2d(c, 2 * c, 3, padding=1)
        self.gate, self.d, self.o = AttentionGate(c), nn.Conv2d(3 * c, c, 3, padding=1), nn.Conv2d(c, 2, 1)

    def forward(self, x):
        e = F.relu(self.e(x))
        m = F.relu(self.m(F.max_pool2d(e, 2)))
        return self.o(F.relu(self.d(torch.cat([self.gate(m, e), F.interpolate(m, scale_factor=2)], 1))))


@dataclass
class GPTConfig:
    block_size: int = 32
    vocab_size: int = 65
    n_layer: int = 2
    n_head: int = 4
    n_embd: int = 32
    bias: bool = False


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


class RotaryGPT(nn.Module):
    """Functional norms, squared ReLU, zero-initialized projections, rotary positions in buffers."""

    def __init__(self, config=GPTConfig()):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList(nn.ModuleDict({
            "qkv": nn.Linear(config.n_embd, 3 * config.n_embd, bias=False), "proj": nn.Linear(config.n_embd, config.n_embd, bias=False),
            "fc": nn.Linear(config.n_embd, 4 * config.n_embd, bias=False), "out": nn.Linear(4 * config.n_embd, config.n_embd, bias=False),
        }) for _ in range(config.n_layer))  # fmt: skip
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        for block in self.h:
            nn.init.zeros_(block["proj"].weight)
            nn.init.zeros_(block["out"].weight)
        d = config.n_embd // config.n_head
        freqs = torch.outer(torch.arange(config.block_size), 1e4 ** (-torch.arange(0, d, 2) / d))
        self.register_buffer("cos", freqs.cos(), persistent=False)
        self.register_buffer("sin", freqs.sin(), persistent=False)

    def rotate(self, x):
        t, d = x.size(-2), x.size(-1) // 2
        x1, x2 = x[..., :d], x[..., d:]
        return torch.cat([x1 * self.cos[:t] + x2 * self.sin[:t], x2 * self.cos[:t] - x1 * self.sin[:t]], -1)

    def forward(self, idx):
        x = norm(self.wte(idx))
        b, t, c = x.shape
        for block in self.h:
            q, k, v = block["qkv"](norm(x)).view(b, t, 3, self.config.n_head, -1).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(norm(self.rotate(q)), norm(self.rotate(k)), v, is_causal=True)
            x = x + block["proj"](y.transpose(1, 2).reshape(b, t, c))
            x = x + block["out"](F.relu(block["fc"](norm(x))).square())
        return 15 * torch.tanh(self.lm_head(norm(x)) / 15)


class CLIPish(nn.Module):
    """All pairs of a batch; a trained temperature."""

    def __init__(self, d=16):
        super().__init__()
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 32), nn.ReLU(), nn.Linear(32, d))
        self.text = nn.Sequential(nn.EmbeddingBag(50, d))
        self.logit_scale = nn.Parameter(torch.ones([]) * math.log(1 / 0.07))

    def forward(self, image, text):
        i, t = F.normalize(self.image(image), dim=-1), F.normalize(self.text(text), dim=-1)
        logits = self.logit_scale.exp() * i @ t.t()
        return logits, logits.t()


class SimpleVAE(nn.Module):
    def __init__(self, d=40, z=4):
        super().__init__()
        self.fc1, self.fc21, self.fc22, self.fc3, self.fc4 = nn.Linear(d, 32), nn.Linear(32, z), nn.Linear(32, z), nn.Linear(z, 32), nn.Linear(32, d)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


class GRUSpeech(nn.Module):
    """Convolutions over time, back to (batch, steps, features), recurrence with batch_first, pooled over the steps."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(20, 32, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm1d(32)
        self.gru = nn.GRU(32, 24, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(48, 6)

    def forward(self, x):
        h = F.gelu(self.bn(self.conv(x))).transpose(1, 2)
        h = self.gru(h)[0].transpose(1, 2)
        return self.fc(F.adaptive_avg_pool1d(h, 1).squeeze(-1))


class SoftDecisionTree(nn.Module):
    """Written-out softmax over the leaves, products of sigmoids."""

    def __init__(self, d=10, depth=3, classes=4):
        super().__init__()
        self.inner = nn.Linear(d, 2**depth - 1)
        self.leaves = nn.Parameter(torch.randn(2**depth, classes) * 0.1)
        self.depth = depth

    def forward(self, x):
        p = torch.sigmoid(self.inner(x))
        path = x.new_ones(x.size(0), 1)
        for d in range(self.depth):
            q = p[:, 2**d - 1 : 2 ** (d + 1) - 1]
            path = torch.stack([path * q, path * (1 - q)], dim=2).flatten(1)
        e = torch.exp(self.leaves - self.leaves.amax(1, keepdim=True))
        return torch.log(path @ (e / e.sum(1, keepdim=True)) + 1e-8)


class ShakeDrop(nn.Module):
    """Stochastic depth with its switch."""

    def __init__(self, c=16, p=0.2):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c))
        self.p = p

    def forward(self, x):
        y = self.body(x)
        if self.training:
            keep = (torch.rand(x.size(0), 1, 1, 1, device=x.device) >= self.p).to(y.dtype)
            y = y * keep / (1 - self.p)
        return x + y


def stochastic_depth():
    return nn.Sequential(nn.Conv2d(3, 16, 3), ShakeDrop(), ShakeDrop(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


@dataclass
class LMConfig:
    vocab: int = 60
    dim: int = 32
    layers: int = 2


class Decoder(nn.Module):
    """A norm at the block's head whose output the skip carries: with no activation there, post-norm in other lines."""

    def __init__(self, cfg: LMConfig):
        super().__init__()
        self.norm = nn.RMSNorm(cfg.dim)
        self.up, self.gate, self.down = (nn.Linear(cfg.dim, cfg.dim) for _ in range(3))

    def forward(self, x):
        residual = self.norm(x)
        return residual + self.down(F.silu(self.gate(residual)) * self.up(residual))


class ConfigLM(nn.Module):
    def __init__(self, cfg: LMConfig = LMConfig()):
        super().__init__()
        self.tok = nn.Embedding(cfg.vocab, cfg.dim)
        self.h = nn.ModuleList(Decoder(cfg) for _ in range(cfg.layers))
        self.f, self.lm_head = nn.RMSNorm(cfg.dim), nn.Linear(cfg.dim, cfg.vocab, bias=False)

    def forward(self, idx):
        x = self.tok(idx)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.f(x))
