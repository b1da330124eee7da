"""Models of text, sequences, graphs and tables with one fault each: in the manner of libraries, or by hand."""

import copy
from types import SimpleNamespace
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PooledGRU(nn.Module):
    """Max-pooled over the steps, which the GRU took for the batch."""

    def __init__(self, vocab=50, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.gru = nn.GRU(dim, dim, bidirectional=True)
        self.fc = nn.Linear(2 * dim, 4)

    def forward(self, tokens):
        h, _ = self.gru(self.embed(tokens))
        pooled = F.adaptive_max_pool1d(h.permute(0, 2, 1), 1).squeeze(2)
        return self.fc(pooled)


class BahdanauPool(nn.Module):
    """Scores (batch, time) go through softmax(dim=0)."""

    def __init__(self, feat=12, dim=16):
        super().__init__()
        self.rnn = nn.LSTM(feat, dim, batch_first=True)
        self.W, self.v = nn.Linear(dim, dim), nn.Linear(dim, 1, bias=False)
        self.out = nn.Linear(dim, 3)

    def forward(self, x):
        h = self.rnn(x)[0]
        e = self.v(torch.tanh(self.W(h))).squeeze(-1)
        a = F.softmax(e, dim=0)
        ctx = torch.bmm(a.unsqueeze(1), h).squeeze(1)
        return self.out(ctx)


class MultiheadAttention(nn.Module):
    """fairseq-like; F.dropout on the weights without training=."""

    def __init__(self, embed_dim, num_heads, dropout=0.1):
        super().__init__()
        self.num_heads, self.head_dim, self.dropout = num_heads, embed_dim // num_heads, dropout
        self.scaling = self.head_dim**-0.5
        self.k_proj, self.v_proj = nn.Linear(embed_dim, embed_dim), nn.Linear(embed_dim, embed_dim)
        self.q_proj, self.out_proj = nn.Linear(embed_dim, embed_dim), nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor, key_padding_mask: Optional[Tensor] = None):
        tgt_len, bsz, embed_dim = x.size()
        q = self.q_proj(x) * self.scaling
        q, k, v = (
            t.contiguous().view(tgt_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)
            for t in (q, self.k_proj(x), self.v_proj(x))
        )
        weights = torch.bmm(q, k.transpose(1, 2)).softmax(dim=-1)
        weights = F.dropout(weights, p=self.dropout)
        attn = torch.bmm(weights, v).transpose(0, 1).contiguous().view(tgt_len, bsz, embed_dim)
        return self.out_proj(attn)


class FairseqEncoder(nn.Module):
    def __init__(self, vocab=60, dim=32, layers=2):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList([])
        self.layers.extend([self.build_layer(dim) for _ in range(layers)])
        self.output = nn.Linear(dim, 5)

    def build_layer(self, dim):
        return nn.ModuleDict({
            "norm1": nn.LayerNorm(dim), "attn": MultiheadAttention(dim, 4), "norm2": nn.LayerNorm(dim),
            "fc1": nn.Linear(dim, 2 * dim), "fc2": nn.Linear(2 * dim, dim),
        })

    def forward(self, src_tokens):
        x = self.embed_tokens(src_tokens).transpose(0, 1)
        for layer in self.layers:
            x = x + layer["attn"](layer["norm1"](x))
            x = x + layer["fc2"](F.gelu(layer["fc1"](layer["norm2"](x))))
        return self.output(x.mean(0))


class PoolerUnused(nn.Module):
    """HF-like: a pooler is built, the classifier reads the first token without it."""

    def __init__(self, config=None):
        super().__init__()
        config = config or SimpleNamespace(vocab_size=60, hidden_size=32, num_labels=3, hidden_dropout_prob=0.1)
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder = nn.TransformerEncoderLayer(config.hidden_size, 4, 64, batch_first=True)
        self.pooler = nn.Sequential(nn.Linear(config.hidden_size, config.hidden_size), nn.Tanh())
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids=None, labels=None):
        hidden_states = self.encoder(self.embeddings(input_ids))
        logits = self.classifier(self.dropout(hidden_states[:, 0]))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.view(-1, self.config.num_labels), labels.view(-1))
        return {"loss": loss, "logits": logits} if loss is not None else {"logits": logits}


class SelfOutput(nn.Module):
    """HF-like: `hidden_states + hidden_states` where `+ input_tensor` was meant."""

    def __init__(self, dim):
        super().__init__()
        self.dense, self.LayerNorm, self.dropout = nn.Linear(dim, dim), nn.LayerNorm(dim), nn.Dropout(0.1)

    def forward(self, hidden_states, input_tensor):
        hidden_states = self.dense(hidden_states)
        hidden_states = self.LayerNorm(self.dropout(hidden_states) + hidden_states)
        return hidden_states


class BertishLayer(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.output = SelfOutput(dim)
        self.intermediate, self.final = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        a = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        a = self.output(a, x)
        return self.norm(a + self.final(F.gelu(self.intermediate(a))))


def bertish():
    return nn.Sequential(nn.Embedding(40, 32), BertishLayer(), BertishLayer(), nn.Linear(32, 40))


class FrozenByAccident(nn.Module):
    """Everything but the last layer runs under no_grad, with no word about freezing."""

    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(50, 24)
        self.conv = nn.Conv1d(24, 24, 3, padding=1)
        self.fc = nn.Linear(24, 4)

    def features(self, ids):
        x = self.token(ids).transpose(1, 2)
        return F.relu(self.conv(x)).amax(-1)

    def forward(self, ids):
        with torch.no_grad():
            z = self.features(ids)
        return self.fc(z)


class HardMoE(nn.Module):
    """The gate only chooses: argmax, and no weight on what the chosen expert says."""

    def __init__(self, dim=16, experts=4):
        super().__init__()
        self.gate = nn.Linear(dim, experts)
        self.w1 = nn.Parameter(torch.randn(experts, dim, 2 * dim) / dim**0.5)
        self.w2 = nn.Parameter(torch.randn(experts, 2 * dim, dim) / (2 * dim) ** 0.5)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        choice = F.one_hot(self.gate(x).argmax(-1), 4).to(x.dtype)
        h = torch.einsum("bd,edh->beh", x, self.w1).relu()
        y = torch.einsum("beh,ehd->bed", h, self.w2)
        return self.head((choice.unsqueeze(-1) * y).sum(1))


class TiedLM(nn.Module):
    """Tied embeddings at their default N(0, 1)."""

    def __init__(self, vocab=200, dim=64):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, idx):
        return self.head(self.rnn(self.wte(idx))[0])


class Annotated(nn.Module):
    """The Annotated-Transformer way: clones of one layer."""

    def __init__(self, n=3, dim=32):
        super().__init__()
        layer = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(n)])
        self.proj = nn.Linear(dim, 5)

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return self.proj(x)


class MaskIgnored(nn.Module):
    """The mask is an argument, and goes nowhere."""

    def __init__(self, dim=16):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.o = nn.Linear(dim, 4)

    def forward(self, x, mask):
        att = self.q(x) @ self.k(x).transpose(-2, -1) / 4.0
        att = att.softmax(-1)
        return self.o((att @ self.v(x)).mean(1))


class ActorCritic(nn.Module):
    """Both heads read a detached trunk."""

    def __init__(self, obs=8, act=3):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(obs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.pi, self.vf = nn.Linear(64, act), nn.Linear(64, 1)

    def forward(self, obs):
        latent = self.trunk(obs).detach()
        return self.pi(latent), self.vf(latent)


class SigmoidMLP(nn.Module):
    """Ten sigmoid layers at PyTorch's default."""

    def __init__(self, sizes=(16,) + (64,) * 10):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes, sizes[1:]))
        self.out = nn.Linear(sizes[-1], 1)

    def forward(self, t):
        for layer in self.hidden:
            t = torch.sigmoid(layer(t))
        return self.out(t)


class GCNLayer(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adj):
        return torch.matmul(adj, torch.mm(x, self.weight))


class DropGCN(nn.Module):
    """x * bernoulli mask, always."""

    def __init__(self):
        super().__init__()
        self.gc1, self.gc2 = GCNLayer(16, 32), GCNLayer(32, 4)

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = x * torch.bernoulli(torch.full_like(x, 0.5)) * 2
        return self.gc2(x, adj)


class MixerBlock(nn.Module):
    """A residual wrapper around a block that has its own skip."""

    def __init__(self, tokens=16, dim=24):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))

    def forward(self, x):
        return x + self.tokens(self.norm(x).mT).mT


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x) + x


def mixer():
    return nn.Sequential(nn.Linear(8, 24), Residual(MixerBlock()), Residual(MixerBlock()), nn.LayerNorm(24), nn.Linear(24, 3))


class ByHand(nn.Module):
    """A functional net with its weights in a list and a zero-initialized hidden layer."""

    def __init__(self, i=10, h=32, o=3):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(i, h) * (2 / i) ** 0.5)
        self.b1 = nn.Parameter(torch.zeros(h))
        self.w2 = nn.Parameter(torch.zeros(h, h))
        self.b2 = nn.Parameter(torch.zeros(h))
        self.w3 = nn.Parameter(torch.randn(h, o) / h**0.5)

    def forward(self, x):
        h = torch.clamp(x @ self.w1 + self.b1, min=0)
        h = torch.clamp(h @ self.w2 + self.b2, min=0)
        return h @ self.w3


class DeadBias(nn.Module):
    """Biases far below zero in front of ReLUs."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 2)
        for fc in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(fc.weight)
            nn.init.constant_(fc.bias, -10.0)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class WrittenSoftmax(nn.Module):
    """A stable softmax of one's own, over the wrong axis."""

    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(12, 32), nn.Linear(32, 6)

    @staticmethod
    def softmax(z):
        z = z - torch.max(z, dim=0, keepdim=True)[0]
        e = torch.exp(z)
        return e / torch.sum(e, dim=0, keepdim=True)

    def forward(self, x):
        return self.softmax(self.l2(F.relu(self.l1(x))))


class LogOfNegative(nn.Module):
    """log of a negative number in the init of the decay rates."""

    def __init__(self, dim=16):
        super().__init__()
        self.rate = nn.Parameter(torch.log(torch.linspace(-0.1, 1.0, dim)))
        self.inp, self.out = nn.Linear(4, dim), nn.Linear(dim, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.inp(x)) * torch.exp(-self.rate))


class LSTMForget(nn.Module):
    """All biases of an LSTM set to zero by an init loop."""

    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(6, 32, batch_first=True), nn.Linear(32, 1)
        for name, p in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(p)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])
