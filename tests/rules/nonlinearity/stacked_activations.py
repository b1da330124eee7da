"""NC104: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "squashed twice",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 1)

    def forward(self, x):
        x = torch.sigmoid(self.fc2(torch.tanh(self.fc1(x))))
        return x.sigmoid()

model = Net()
""",
        "8x16",
    ),
    Example(
        "rectified before and after pooling",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8 * 9, 4)

    def forward(self, x):
        x = F.relu(F.max_pool2d(F.relu(self.conv(x)), 2))
        return self.head(x.flatten(1))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "two different activations in a row",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.GELU(), nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "a rectifier written out, after another",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(2, 8, 3), nn.Conv1d(8, 4, 1)

    def forward(self, x):
        return self.head(torch.relu_(self.conv(x)).clamp(min=0))

model = Net()
""",
        "4x2x16",
    ),
)

GOOD = (
    Example(
        "a rectifier with an upper bound, and its square",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x)).clamp(max=6)
        return self.fc3(F.relu(self.fc2(x)).square())

model = Net()
""",
        "8x16",
    ),
    Example(
        "probabilities kept away from 0 and 1",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 1)

    def forward(self, x):
        return torch.sigmoid(self.fc(x)).clamp(1e-6, 1 - 1e-6)

model = Net()
""",
        "8x16",
    ),
    Example(
        "the first block of a pre-activation net",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        return x + self.two(F.relu(self.one(F.relu(x))))

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), Block(), Block(), nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "a soft cap before the gate",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.value = nn.Linear(16, 1), nn.Linear(16, 8)

    def forward(self, x):
        score = 5 * torch.tanh(self.score(x) / 5)
        return torch.sigmoid(score) * self.value(x)

model = Net()
""",
        "8x16",
    ),
)
