"""NC803: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a pooling that steps over rows",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8 * 25, 10)

    def forward(self, x):
        return self.head(F.max_pool2d(F.relu(self.conv(x)), 2, stride=3).flatten(1))

model = Net()
""",
        "2x3x15x15",
    ),
)

GOOD = (
    Example(
        "a projection beside a branch that reads everything",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.project = nn.Conv2d(8, 16, 1, stride=2)

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.project(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
""",
        "2x3x16x16",
    ),
    Example(
        "patches side by side",
        "model = nn.Sequential(nn.Conv2d(3, 32, 8, stride=8), nn.Flatten(), nn.Linear(32 * 16, 10))",
        "2x3x32x32",
    ),
)
