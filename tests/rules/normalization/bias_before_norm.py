"""NC302: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a linear layer whose features are transposed for the norm",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)

    def forward(self, x):
        x = self.norm(self.layer(x).transpose(1, 2)).transpose(1, 2)
        return self.head(F.relu(x))

model = Net()
""",
        "4x5x8",
    ),
    Example(
        "instance normalization, with functions",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(8, 3, 3, 3) / 5), nn.Parameter(torch.zeros(8))
        self.head = nn.Conv2d(8, 3, 3)

    def forward(self, x):
        return self.head(F.relu(F.instance_norm(F.conv2d(x, self.weight, self.bias))))

model = Net()
""",
        "2x3x8x8",
    ),
    Example(
        "group normalization with one channel a group",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(2, 8, 3), nn.GroupNorm(8, 8), nn.Conv1d(8, 1, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.conv(x))))

model = Net()
""",
        "2x2x16",
    ),
    Example(
        "a bias added by hand",
        """
class Dense(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(before, after) / before ** 0.5), nn.Parameter(torch.zeros(after))

    def forward(self, x):
        return x @ self.weight + self.bias

model = nn.Sequential(Dense(8, 16), nn.BatchNorm1d(16), nn.ReLU(), Dense(16, 4))
""",
        "8x8",
    ),
)

GOOD = (
    Example(
        "the model's own train() keeps the norm's statistics",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "layer normalization keeps the differences between features",
        """
model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "groups of several channels",
        """
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
        "4x3x8x8",
    ),
    Example(
        "the norm's channels are positions, not the layer's features",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(8, 16), nn.BatchNorm1d(5), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(F.relu(self.norm(self.layer(x))))

model = Net()
""",
        "4x5x8",
    ),
    Example(
        "a skip that does not pass the norm",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.conv(x)
        return x + F.relu(self.norm(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "zero padding between: the border lacks the bias",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ZeroPad2d(1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 10)
)
""",
        "4x3x8x8",
    ),
)
