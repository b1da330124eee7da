"""NC902: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "norms that are built in every block and applied in none",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return x + F.relu(self.conv(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(288, 4))
""",
        "4x3x8x8",
    ),
    Example(
        "initialized, and never run",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.skip, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)
        self.init_weights()

    def init_weights(self):
        nn.init.orthogonal_(self.skip.weight)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "one layer, called twice by mistake",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv1(x))
        return self.head(x.mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "a whole branch",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(16, 32), nn.ReLU())
        self.right = nn.Sequential(nn.Linear(16, 32), nn.ReLU())
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        left = self.left(x)
        return self.head(torch.cat([left, left], 1))

model = Net()
""",
        "8x16",
    ),
    Example(
        "dropout that never drops",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.dropout, self.head = nn.Linear(16, 16), nn.Dropout(0.5), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.relu(self.body(x)))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "attention: its inner projection is used and never called",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0])

model = Net()
""",
        "8x6x16",
    ),
    Example(
        "a submodule under two names",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = self.encoder = nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.relu(self.encoder(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "weight normalization, whose parts run by themselves",
        """
from torch.nn.utils.parametrizations import weight_norm

model = nn.Sequential(weight_norm(nn.Linear(16, 16)), nn.ReLU(), weight_norm(nn.Linear(16, 4)))
""",
        "8x16",
    ),
    Example(
        "layers that take another's weights",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.decoder = nn.Embedding(50, 16), nn.Linear(16, 50, bias=False)
        self.decoder.weight = self.embedding.weight

    def forward(self, ids):
        return self.embedding(ids).mean(1) @ self.decoder.weight.T

model = Net()
""",
        "long:4x6",
    ),
)
