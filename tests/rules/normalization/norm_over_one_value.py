"""NC305: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "as a function, in a loop",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(2)), nn.Linear(8, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(F.group_norm(layer(x), 8))
        return self.head(x)

model = Net()
""",
        "4x8",
    ),
    Example(
        "on a signal that pooling has shrunk to one step",
        """
model = nn.Sequential(
    nn.Conv1d(2, 8, 3), nn.ReLU(), nn.AvgPool1d(14), nn.GroupNorm(8, 8), nn.Flatten(), nn.Linear(8, 3)
)
""",
        "4x2x16",
    ),
    Example(
        "an instance norm that does not look at its input's size",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 8), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = torch.instance_norm(self.conv(x), None, None, None, None, True, 0.1, 1e-5, False)
        return self.head(torch.relu(x))

model = Net()
""",
        "2x3x8x8",
    ),
    Example(
        "a batch of one vector, below the function that checks it",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)

    def forward(self, x):
        n = self.norm
        x = torch.batch_norm(
            self.layer(x), n.weight, n.bias, n.running_mean, n.running_var, self.training, 0.1, 1e-5, False
        )
        return self.head(torch.relu(x))

model = Net()
""",
        "1x8",
    ),
    Example(
        "a batch whose last share is one vector",
        """
model = nn.Sequential(nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
""",
        "8x8",
        devices=4,
        batch_size=5,
    ),
)

GOOD = (
    Example(
        "a batch of vectors",
        """
model = nn.Sequential(nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
""",
        "2x8",
    ),
    Example(
        "one sample with a map (batch size one)",
        """
model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
        "1x3x8x8",
    ),
    Example(
        "after global pooling, over a batch (DeepLab's image features)",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
    nn.Flatten(), nn.Linear(8, 4),
)
""",
        "2x3x8x8",
    ),
    Example(
        "one group of all channels, after global pooling",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(1, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4)
)
""",
        "2x3x8x8",
    ),
)
