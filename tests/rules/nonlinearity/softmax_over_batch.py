"""NC109: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a negative dim that is the first",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x)).mean((2, 3))
        return F.log_softmax(self.fc(x), dim=-2)

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "attention weights in a loop over heads",
        """
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.ModuleList(nn.Linear(16, 1) for _ in range(3))
        self.head = nn.Linear(48, 4)

    def forward(self, x):
        pooled = [(torch.softmax(score(x), 0) * x).sum(1) for score in self.scores]
        return self.head(torch.cat(pooled, dim=1))

model = Heads()
""",
        "8x5x16",
    ),
    Example(
        "attention of each sample with itself, normalized over the batch",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        scores = torch.bmm(self.query(x), self.key(x).transpose(1, 2)) / 4
        return self.head((scores.softmax(dim=0) @ self.value(x)).mean(1))

model = Attention()
""",
        "8x5x16",
    ),
    Example(
        "no dim at all: deprecated, here by luck the classes",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return F.log_softmax(self.fc(x))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "over the instances of a bag",
        """
class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x):
        weights = torch.softmax(self.score(x), dim=0)
        return self.head(weights.T @ x)

model = Bag()
""",
        "9x16",
    ),
    Example(
        "of parameters, which have no batch",
        """
class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3))
        self.layers = nn.ModuleList(nn.Linear(16, 4) for _ in range(3))

    def forward(self, x):
        weights = torch.softmax(self.logits, dim=0)
        return sum(weight * layer(x) for weight, layer in zip(weights, self.layers))

model = Mixture()
""",
        "8x16",
    ),
    Example(
        "of all pairs in a batch",
        """
class Contrastive(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x, y):
        similarity = self.a(x) @ self.b(y).T
        return torch.softmax(similarity, dim=0), torch.softmax(similarity, dim=1)

model = Contrastive()
""",
        "x=8x16 y=8x16",
    ),
    Example(
        "over the channels, which stand first after a transposition",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return torch.softmax(self.fc(x).t(), dim=0).t()

model = Net()
""",
        "8x16",
    ),
)
