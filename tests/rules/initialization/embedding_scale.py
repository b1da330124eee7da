"""NC506: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "F.linear with the embedding's weights",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 64)
        self.body = nn.LSTM(64, 64, batch_first=True)

    def forward(self, ids):
        return F.linear(self.body(self.embedding(ids))[0], self.embedding.weight)

model = Net()
""",
        "long:4x12",
    ),
    Example(
        "a product with the transposed table",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(100, 64))
        self.norm = nn.LayerNorm(64)

    def forward(self, ids):
        return self.norm(F.embedding(ids, self.table)) @ self.table.t()

model = Net()
""",
        "long:4x12",
    ),
    Example(
        "the embedding takes the head's tensor, and is drawn again",
        """
model = nn.Sequential(nn.Embedding(100, 64), nn.Tanh(), nn.Linear(64, 100))
model[0].weight = model[2].weight
nn.init.normal_(model[0].weight)
""",
        "long:4x12",
    ),
    Example(
        "scaled up at the input too",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(100, 64), nn.LayerNorm(64)
        self.head = nn.Linear(64, 100, bias=False)
        self.embedding.weight = self.head.weight
        self.head.weight.data.normal_(0, 0.6)

    def forward(self, ids):
        return self.head(F.dropout(self.norm(self.embedding(ids) * 8.0), 0.1, self.training)).transpose(1, 2)

model = Net()
""",
        "long:4x12",
    ),
    Example(
        "einsum with the table",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.norm = nn.Embedding(100, 64, padding_idx=0), nn.LayerNorm(64)

    def forward(self, ids):
        return torch.einsum("bld,vd->blv", self.norm(self.tokens(ids)), self.tokens.weight)

model = Net()
""",
        "long:4x12",
    ),
)

GOOD = (
    Example(
        "the hidden state is scaled down before the output layer",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(100, 64), nn.LayerNorm(64)
        self.head = nn.Linear(64, 100, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.norm(self.embedding(ids)) * 64 ** -0.5)

model = Net()
""",
        "long:4x12",
    ),
    Example(
        "the logits are scaled down",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(100, 64), nn.LayerNorm(64)

    def forward(self, ids):
        return self.norm(self.embedding(ids)) @ self.embedding.weight.T / 8

model = Net()
""",
        "long:4x12",
    ),
    Example(
        "tied by the head's own initialization",
        """
model = nn.Sequential(nn.Embedding(100, 64), nn.ReLU(), nn.Linear(64, 100))
model[0].weight = model[2].weight
""",
        "long:4x12",
    ),
    Example(
        "two embeddings of one table, and no output layer of it",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.source = self.target = nn.Embedding(100, 64)
        self.head = nn.Linear(128, 4)

    def forward(self, ids):
        return self.head(torch.cat([self.source(ids), self.target(ids.flip(1))], -1))

model = Net()
""",
        "long:4x12",
    ),
)
