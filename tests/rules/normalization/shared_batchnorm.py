"""NC304: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "one object several times in a list",
        """
norm = nn.BatchNorm1d(16)
model = nn.Sequential(
    nn.Linear(8, 16), norm, nn.ReLU(), nn.Linear(16, 16), norm, nn.ReLU(), nn.Linear(16, 16), norm, nn.ReLU(), nn.Linear(16, 4)
)
""",
        "8x8",
    ),
    Example(
        "with functions: one pair of running statistics",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)), nn.Linear(8, 4)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("var", torch.ones(8))

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(F.batch_norm(layer(x), self.mean, self.var, training=self.training))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "two branches that are added",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.norm(self.wide(x)) + self.norm(self.narrow(x)))

model = nn.Sequential(Block(), nn.Flatten(), nn.Linear(8 * 64, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "before the layers (pre-activation), inside a residual block",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        out = self.conv1(F.relu(self.norm(x)))
        return x + self.conv2(F.relu(self.norm(out)))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a recurrent block: worth a note",
        """
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        first = x = self.stem(x)
        for _ in range(3):
            x = F.relu(self.norm(self.conv(x + first)))
        return self.head(x.mean((2, 3)))

model = Recurrent()
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "a Siamese net",
        """
class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(8, 1)

    def forward(self, a, b):
        return self.head((self.encoder(a) - self.encoder(b)).abs())

model = Siamese()
""",
        "a=4x3x8x8 b=4x3x8x8",
    ),
    Example(
        "a shared layer normalization",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.norm, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)), nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        for layer in self.layers:
            x = x + F.gelu(layer(self.norm(x)))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "no running statistics",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)), nn.Linear(8, 4)
        self.norm = nn.BatchNorm1d(8, affine=False, track_running_stats=False)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(self.norm(layer(x)))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "one value, normalized twice",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.left, self.right = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.conv(x)
        return self.left(F.relu(self.norm(x))), self.right(torch.sigmoid(self.norm(x)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "frozen statistics",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)), nn.Linear(8, 4)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("var", torch.ones(8))

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(F.batch_norm(layer(x), self.mean, self.var, training=False))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
)
