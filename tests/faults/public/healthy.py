"""Healthy models with parts that look like faults: nothing worse than information is to be said of them."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class VAE(nn.Module):
    """Two linear heads on one hidden layer, a linear decoder entrance, noise that is meant."""

    def __init__(self, n=64, h=128, z=8):
        super().__init__()
        self.fc1 = nn.Linear(n, h)
        self.fc21, self.fc22 = nn.Linear(h, z), nn.Linear(h, z)
        self.fc3, self.fc4 = nn.Linear(z, h), nn.Linear(h, n)

    def reparameterize(self, mu, logvar):
        return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)

    def forward(self, x):
        h = F.relu(self.fc1(x.view(-1, 64)))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = self.reparameterize(mu, logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


class Autoencoder(nn.Module):
    """A linear bottleneck between two linear layers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(100, 50), nn.ReLU(True), nn.Linear(50, 3))
        self.decoder = nn.Sequential(nn.Linear(3, 50), nn.ReLU(True), nn.Linear(50, 100), nn.Tanh())

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Generator(nn.Module):
    """DCGAN: transposed convolutions, norms, tanh at the end, N(0, 0.02)."""

    def __init__(self, nz=32, ngf=8):
        super().__init__()
        layers, c = [nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False), nn.BatchNorm2d(ngf * 4), nn.ReLU(True)], ngf * 4
        while c > ngf:
            layers += [nn.ConvTranspose2d(c, c // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(c // 2), nn.ReLU(True)]
            c //= 2
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(c, 3, 4, 2, 1, bias=False), nn.Tanh())
        for m in self.modules():
            if isinstance(m, nn.ConvTranspose2d):
                nn.init.normal_(m.weight, 0.0, 0.02)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.normal_(m.weight, 1.0, 0.02)
                nn.init.zeros_(m.bias)

    def forward(self, z):
        return self.main(z[:, :, None, None])


class Discriminator(nn.Module):
    """Spectral norms, leaky ReLUs, a sigmoid at the end."""

    def __init__(self):
        super().__init__()
        sn = nn.utils.parametrizations.spectral_norm
        self.net = nn.Sequential(
            sn(nn.Conv2d(3, 16, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True), sn(nn.Conv2d(16, 32, 4, 2, 1)),
            nn.LeakyReLU(0.2, inplace=True), nn.Flatten(), sn(nn.Linear(32 * 16, 1)), nn.Sigmoid(),
        )

    def forward(self, x):
        return self.net(x)


class DuelingDQN(nn.Module):
    """value + advantage - mean."""

    def __init__(self, n_obs=8, n_act=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_obs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.value, self.advantage = nn.Linear(64, 1), nn.Linear(64, n_act)

    def forward(self, obs):
        h = self.body(obs)
        a = self.advantage(h)
        return self.value(h) + a - a.mean(dim=1, keepdim=True)


class Attention(nn.Module):
    """Additive attention over time: one score for each step, softmax over dim 1."""

    def __init__(self, vocab=60, dim=24):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim, padding_idx=0)
        self.rnn = nn.GRU(dim, dim, batch_first=True, bidirectional=True)
        self.score = nn.Sequential(nn.Linear(2 * dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))
        self.fc = nn.Linear(2 * dim, 5)

    def forward(self, ids):
        h, _ = self.rnn(self.emb(ids))
        w = torch.softmax(self.score(h), dim=1)
        return self.fc((w * h).sum(dim=1))


class Seq2Seq(nn.Module):
    """Steps first, decoded in a loop with a cell."""

    def __init__(self, dim=16, out=6):
        super().__init__()
        self.encoder = nn.LSTM(4, dim)
        self.cell = nn.LSTMCell(out, dim)
        self.project = nn.Linear(dim, out)

    def forward(self, x):
        _, (h, c) = self.encoder(x)
        h, c = h[0], c[0]
        y = x.new_zeros(h.size(0), self.project.out_features)
        outputs = []
        for _ in range(5):
            h, c = self.cell(y, (h, c))
            y = self.project(h)
            outputs.append(y)
        return torch.stack(outputs)


class GPTBlock(nn.Module):
    def __init__(self, n_embd=32, n_head=4):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd), nn.Dropout(0.1))
        self.n_head = n_head
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))
        self.attn_dropout = nn.Dropout(0.1)

    def attend(self, x):
        B, T, C = x.size()
        q, k, v = (t.view(B, T, self.n_head, -1).transpose(1, 2) for t in self.c_attn(x).split(C, dim=2))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
        y = self.attn_dropout(F.softmax(att, dim=-1)) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    def forward(self, x):
        x = x + self.attend(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class MiniGPT(nn.Module):
    def __init__(self, vocab=65, n_embd=32, layers=4):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, n_embd), nn.Embedding(64, n_embd)
        self.drop = nn.Dropout(0.1)
        self.h = nn.ModuleList([GPTBlock(n_embd) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab, bias=False)
        self.wte.weight = self.lm_head.weight
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.02)

    def forward(self, idx):
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(idx.size(1), device=idx.device)))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()

        def double(i, o):
            return nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
                nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
            )

        self.inc, self.down1, self.down2 = double(3, c), double(c, 2 * c), double(2 * c, 4 * c)
        self.up1, self.conv1 = nn.ConvTranspose2d(4 * c, 2 * c, 2, 2), double(4 * c, 2 * c)
        self.up2, self.conv2 = nn.ConvTranspose2d(2 * c, c, 2, 2), double(2 * c, c)
        self.outc = nn.Conv2d(c, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        y = self.conv1(torch.cat([x2, self.up1(x3)], 1))
        y = self.conv2(torch.cat([x1, self.up2(y)], 1))
        return self.outc(y)


class InvertedResidual(nn.Module):
    """A linear bottleneck: no activation before the sum, 1x1 after 1x1 through it."""

    def __init__(self, c=16, t=4):
        super().__init__()
        h = c * t
        self.conv = nn.Sequential(
            nn.Conv2d(c, h, 1, bias=False), nn.BatchNorm2d(h), nn.ReLU6(True),
            nn.Conv2d(h, h, 3, 1, 1, groups=h, bias=False), nn.BatchNorm2d(h), nn.ReLU6(True),
            nn.Conv2d(h, c, 1, bias=False), nn.BatchNorm2d(c),
        )

    def forward(self, x):
        return x + self.conv(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(True), *[InvertedResidual() for _ in range(4)]
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(16, 10))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class SeparableNet(nn.Module):
    """Depthwise, then pointwise, with nothing between."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList()
        for a, b in ((3, 16), (16, 32), (32, 64)):
            self.blocks.append(nn.Sequential(nn.Conv2d(a, a, 3, 2, 1, groups=a, bias=False), nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b)))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        for block in self.blocks:
            x = F.relu(block(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class LoRALinear(nn.Module):
    def __init__(self, n, r=4):
        super().__init__()
        self.base = nn.Linear(n, n)
        self.base.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(r, n) / n**0.5)
        self.b = nn.Parameter(torch.zeros(n, r))

    def forward(self, x):
        return self.base(x) + (x @ self.a.T) @ self.b.T


class LoRANet(nn.Module):
    def __init__(self, n=32):
        super().__init__()
        self.l1, self.l2, self.head = LoRALinear(n), LoRALinear(n), nn.Linear(n, 4)

    def forward(self, x):
        return self.head(F.gelu(self.l2(F.gelu(self.l1(x)))))


class VectorQuantizer(nn.Module):
    """Straight through a codebook: detached on purpose."""

    def __init__(self, k=16, d=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, d))
        self.codebook = nn.Embedding(k, d)
        self.codebook.weight.data.uniform_(-1 / k, 1 / k)
        self.decoder = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, 20))

    def forward(self, x):
        z = self.encoder(x)
        q = self.codebook(torch.cdist(z, self.codebook.weight).argmin(1))
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        return self.decoder(z + (q - z).detach()), loss


class MoCo(nn.Module):
    """A momentum encoder under no_grad, with frozen weights, and a queue."""

    def __init__(self, dim=16, k=32):
        super().__init__()
        make = lambda: nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, dim))
        self.encoder_q, self.encoder_k = make(), make()
        for q, k_ in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            k_.data.copy_(q.data)
            k_.requires_grad = False
        self.register_buffer("queue", F.normalize(torch.randn(dim, k), dim=0))

    def forward(self, im_q, im_k):
        q = F.normalize(self.encoder_q(im_q), dim=1)
        with torch.no_grad():
            k = F.normalize(self.encoder_k(im_k), dim=1)
        pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        neg = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        return torch.cat([pos, neg], dim=1) / 0.07


class WaveNet(nn.Module):
    """tanh * sigmoid gates, skips that are summed, dilations."""

    def __init__(self, c=16, layers=6):
        super().__init__()
        self.start = nn.Conv1d(1, c, 1)
        self.filters = nn.ModuleList([nn.Conv1d(c, c, 2, dilation=2**i, padding=2**i) for i in range(layers)])
        self.gates = nn.ModuleList([nn.Conv1d(c, c, 2, dilation=2**i, padding=2**i) for i in range(layers)])
        self.res = nn.ModuleList([nn.Conv1d(c, c, 1) for _ in range(layers - 1)] + [nn.Identity()])
        self.skip = nn.ModuleList([nn.Conv1d(c, c, 1) for _ in range(layers)])
        self.end1, self.end2 = nn.Conv1d(c, c, 1), nn.Conv1d(c, 32, 1)

    def forward(self, x):
        n = x.size(-1)
        x, total = self.start(x), 0
        for f, g, r, s in zip(self.filters, self.gates, self.res, self.skip):
            y = torch.tanh(f(x)[..., :n]) * torch.sigmoid(g(x)[..., :n])
            total = total + s(y)
            x = x + r(y)
        return self.end2(F.relu(self.end1(F.relu(total))))


class Coupling(nn.Module):
    """RealNVP: scale and shift of one half by the other."""

    def __init__(self, n=6):
        super().__init__()
        self.nets = nn.ModuleList([nn.Sequential(nn.Linear(n // 2, 32), nn.ReLU(), nn.Linear(32, n)) for _ in range(4)])

    def forward(self, x):
        log_det = x.new_zeros(x.size(0))
        for net in self.nets:
            a, b = x.chunk(2, dim=1)
            s, t = net(a).chunk(2, dim=1)
            s = torch.tanh(s)
            x = torch.cat([b * s.exp() + t, a], dim=1)
            log_det = log_det + s.sum(1)
        return x, log_det


class Siamese(nn.Module):
    """One tower for two inputs."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, a, b):
        return F.cosine_similarity(self.tower(a), self.tower(b))


class PixelShuffleSR(nn.Module):
    """ESPCN: tanh activations, few layers, no head."""

    def __init__(self, r=2):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, 1, 2), nn.Conv2d(32, 16, 3, 1, 1)
        self.conv3 = nn.Conv2d(16, r * r, 3, 1, 1)
        self.shuffle = nn.PixelShuffle(r)

    def forward(self, x):
        x = torch.tanh(self.conv1(x))
        x = torch.tanh(self.conv2(x))
        return torch.sigmoid(self.shuffle(self.conv3(x)))


class ActorCritic(nn.Module):
    """Returns a distribution's logits and a value."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.pi, self.v = nn.Linear(64, 2), nn.Linear(64, 1)

    def forward(self, obs):
        h = self.shared(obs)
        return self.pi(h), self.v(h).squeeze(-1)


class NeRF(nn.Module):
    """Positional encoding, a skip by concatenation, density and colour."""

    def __init__(self, w=64, freqs=4):
        super().__init__()
        d = 3 + 6 * freqs
        self.freqs = freqs
        self.first = nn.ModuleList([nn.Linear(d, w), nn.Linear(w, w), nn.Linear(w, w)])
        self.second = nn.ModuleList([nn.Linear(w + d, w), nn.Linear(w, w)])
        self.sigma, self.feature = nn.Linear(w, 1), nn.Linear(w, w)
        self.view, self.rgb = nn.Linear(w + 3, w // 2), nn.Linear(w // 2, 3)

    def forward(self, x, d):
        e = torch.cat([x] + [f(2.0**i * x) for i in range(self.freqs) for f in (torch.sin, torch.cos)], -1)
        h = e
        for layer in self.first:
            h = F.relu(layer(h))
        h = torch.cat([e, h], -1)
        for layer in self.second:
            h = F.relu(layer(h))
        rgb = torch.sigmoid(self.rgb(F.relu(self.view(torch.cat([self.feature(h), d], -1)))))
        return rgb, F.relu(self.sigma(h))
