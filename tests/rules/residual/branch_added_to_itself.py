"""NC404: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "x += x as a skip",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
            x += x
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "through an empty shortcut, as a function",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.shortcut = nn.Sequential()

    def forward(self, x):
        out = self.body(x)
        return torch.add(out, self.shortcut(out))

model = nn.Sequential(Block(), Block(), nn.Linear(16, 4))
""",
        "8x16",
    ),
    Example(
        "what a residual wrapper is given ignores the input",
        """
class Residual(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        out = self.function(x)
        return sum([out, out])

def branch():
    return nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 16))

model = nn.Sequential(*[Residual(branch()) for _ in range(3)], nn.Linear(16, 4))
""",
        "8x16",
    ),
    Example(
        "an in-place addition by a method",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.head = nn.Conv1d(2, 8, 3), nn.Conv1d(8, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        residual = self.conv2(x)
        x = residual
        x = x.add_(residual)
        return self.head(F.relu(x).mean(-1))

model = Net()
""",
        "4x2x32",
    ),
    Example(
        "dropout on one of the two",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.drop = nn.MultiheadAttention(16, 2, batch_first=True), nn.Dropout(0.1)
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        x, _ = self.attention(x, x, x)
        return self.norm(x + self.drop(x))

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
        "2x5x8",
    ),
)

GOOD = (
    Example(
        "a factor of two that is written as one",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(2 * torch.tanh(self.layer(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "one layer called twice, on two values",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(torch.relu(self.layer(x) + self.layer(x.flip(1))))

model = Net()
""",
        "8x16",
    ),
    Example(
        "the two halves of one tensor",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 32), nn.Linear(16, 4)

    def forward(self, x):
        first, second = self.layer(x).chunk(2, dim=1)
        return self.head(torch.relu(first + second))

model = Net()
""",
        "8x16",
    ),
    Example(
        "average and maximum of one map",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.head(x.mean((2, 3)) + x.amax((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "an activation that is written as a sum",
        """
class Snake(nn.Module):
    def forward(self, x):
        return x + torch.sin(x) ** 2

model = nn.Sequential(nn.Linear(16, 32), Snake(), nn.Linear(32, 32), Snake(), nn.Linear(32, 4))
""",
        "8x16",
    ),
)
