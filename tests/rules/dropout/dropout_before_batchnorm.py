"""NC203: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "whole channels, by functions",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3), nn.Linear(16, 4)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x):
        x = F.dropout2d(F.relu(self.conv1(x)), 0.2, self.training)
        x = F.relu(self.norm(self.conv2(x)))
        return self.head(x.mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "between the convolutions of a residual block",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(16), nn.BatchNorm2d(16)
        self.conv1, self.conv2 = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.drop = nn.Dropout2d(0.3)

    def forward(self, x):
        out = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(self.drop(F.relu(self.norm2(out))))

model = nn.Sequential(nn.Conv2d(3, 16, 3), Block(), Block(), nn.Flatten(), nn.Linear(16 * 36, 4))
""",
        "4x3x8x8",
    ),
    Example(
        "on the input",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.dropout(x, p=0.2, training=self.training)
        return self.fc2(F.relu(self.norm(self.fc1(x))))

model = Net()
""",
        "8x16",
    ),
    Example(
        "a small rate: worth a word",
        """
model = nn.Sequential(
    nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU(),
    nn.Linear(32, 4),
)
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "a layer norm between",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)
        self.layer_norm, self.batch_norm = nn.LayerNorm(32), nn.BatchNorm1d(32)

    def forward(self, x):
        x = F.dropout(F.relu(self.fc1(x)), 0.5, self.training)
        x = self.layer_norm(self.fc2(x))
        return self.fc3(F.relu(self.batch_norm(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "stochastic depth",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        branch = self.norm(self.conv(x))
        if self.training:
            branch = branch * torch.bernoulli(torch.full((x.shape[0], 1, 1, 1), 0.8)) / 0.8
        return F.relu(x + branch)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
        "4x3x8x8",
    ),
    Example(
        "group normalization",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(16, 16, 3), nn.GroupNorm(4, 16), nn.ReLU(),
    nn.Flatten(), nn.Linear(16 * 16, 4),
)
""",
        "4x3x8x8",
    ),
    Example(
        "a rate of zero",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.0), nn.BatchNorm1d(32), nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "batch statistics also in evaluation",
        """
model = nn.Sequential(
    nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(32, track_running_stats=False),
    nn.Linear(32, 4),
)
""",
        "8x16",
    ),
)
