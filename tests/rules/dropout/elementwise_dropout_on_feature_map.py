"""NC201: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "as a function, after pooling that leaves a map",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.dropout(x, 0.3, self.training)
        x = F.relu(self.conv2(x))
        return self.head(x.flatten(1))

model = Net()
""",
        "4x1x14x14",
    ),
    Example(
        "inside a residual branch, after a norm",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.norm, self.drop = nn.BatchNorm2d(16), nn.Dropout(p=0.2)

    def forward(self, x):
        return x + self.conv2(self.drop(F.relu(self.norm(self.conv1(x)))))

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a mask written out by hand, on a signal",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(2, 8, 5), nn.Conv1d(8, 8, 5)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        if self.training:
            x = x * (torch.rand_like(x) > 0.25) / 0.75
        return self.head(F.relu(self.conv2(x)).mean(-1))

model = Net()
""",
        "4x2x32",
    ),
)

GOOD = (
    Example(
        "between convolutions of 1×1, which are linear layers at each position",
        """
model = nn.Sequential(
    nn.Conv2d(3, 32, 4, stride=4), nn.Conv2d(32, 64, 1), nn.GELU(), nn.Dropout(0.1), nn.Conv2d(64, 32, 1), nn.Dropout(0.1),
    nn.Conv2d(32, 64, 1), nn.GELU(), nn.Conv2d(64, 32, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)
""",
        "4x3x16x16",
    ),
    Example(
        "before flattening: a linear layer comes next",
        """
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
    nn.Flatten(), nn.Linear(8 * 36, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10),
)
""",
        "4x1x12x12",
    ),
    Example(
        "before pooling to one position",
        """
model = nn.Sequential(
    nn.Conv1d(4, 16, 5), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 3),
)
""",
        "4x4x40",
    ),
    Example(
        "after global pooling",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Dropout(0.5), nn.Conv2d(8, 8, 1), nn.ReLU(),
    nn.Flatten(), nn.Linear(8, 10),
)
""",
        "4x3x8x8",
    ),
    Example(
        "on a sequence of tokens that a convolution embedded",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.drop = nn.Conv2d(3, 32, 4, 4), nn.Dropout(0.1)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.drop(self.embed(x).flatten(2).transpose(1, 2))
        return self.head(self.layer(x).mean(1))

model = Net()
""",
        "4x3x16x16",
    ),
    Example(
        "a rate of zero",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(0.0), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10)
)
""",
        "4x3x8x8",
    ),
    Example(
        "before the convolution that classifies each position",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.Dropout(0.1), nn.Conv2d(16, 5, 1),
)
""",
        "4x3x8x8",
    ),
)
