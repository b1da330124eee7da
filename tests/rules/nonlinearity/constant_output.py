"""NC108: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "attention scores normalized over the unit instead of the steps",
        """
class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x):
        weights = torch.tanh(self.score(x)).softmax(dim=-1)
        return self.head((weights * x).sum(1))

model = Pool()
""",
        "8x5x16",
    ),
    Example(
        "a layer norm over one feature",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.LayerNorm(1), nn.Linear(1, 4))
""",
        "8x16",
    ),
    Example(
        "a functional layer norm over a trailing dimension of one",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 8, 3), nn.Linear(14, 4)

    def forward(self, x):
        x = self.conv(x).unsqueeze(-1)
        x = F.layer_norm(x, (1,)).squeeze(-1)
        return self.head(x.mean(1))

model = Net()
""",
        "8x4x16",
    ),
    Example(
        "a vector of one element scaled to length one",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 1)

    def forward(self, x):
        return F.normalize(self.fc2(F.relu(self.fc1(x))), dim=1)

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "the same, on an example of one step",
        """
class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x):
        weights = self.score(x).squeeze(-1).softmax(dim=-1)
        return self.head((weights.unsqueeze(-1) * x).sum(1))

model = Pool()
""",
        "8x1x16",
    ),
    Example(
        "two classes",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2), nn.LogSoftmax(dim=1))
""",
        "8x16",
    ),
    Example(
        "a spatial softmax of one channel",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.score = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        weights = self.score(x).flatten(2).softmax(dim=2)
        return self.head((x.flatten(2) * weights).sum(2))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "a layer norm over the features",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 1))
""",
        "8x16",
    ),
)
