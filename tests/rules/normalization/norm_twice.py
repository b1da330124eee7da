"""NC303: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a module and a function",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.head = nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x):
        x = F.layer_norm(self.layer(x), (16,))
        return self.head(F.gelu(self.norm(x)))

model = Net()
""",
        "8x8",
    ),
    Example(
        "a forgotten activation and layer between",
        """
def layer(before, after, activation=None):
    steps = [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), activation or nn.Identity()]
    return nn.Sequential(*steps)

model = nn.Sequential(layer(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "with a change of the shape between",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm2d, self.norm1d = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm1d(8)
        self.head = nn.Linear(8 * 36, 10)

    def forward(self, x):
        x = self.norm2d(self.conv(x))
        x = self.norm1d(x.flatten(2))
        return self.head(F.relu(x).flatten(1))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "one written by hand",
        """
class RMS(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x):
        return self.scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 16), nn.Linear(16, 4)
        self.norm1, self.norm2 = RMS(), RMS()

    def forward(self, x):
        return self.head(torch.tanh(self.norm2(self.norm1(self.layer(x)))))

model = Net()
""",
        "8x8",
    ),
    Example(
        "two sorts, one after the other",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)
)
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "the first norm's output is a skip, too",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.norm1, self.norm2 = nn.Linear(8, 16), nn.LayerNorm(16), nn.LayerNorm(16)
        self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        x = self.norm1(self.embed(x))
        x = x + F.gelu(self.layer(self.norm2(x)))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "unit length for a comparison",
        """
class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16)

    def forward(self, x):
        x = F.normalize(self.norm(self.layer(x)), dim=1)
        return x @ x.T

model = Embedding()
""",
        "8x8",
    ),
    Example(
        "a norm at the end of a branch, another after the sum",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm1, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.norm2(x + self.norm1(self.conv(x))))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "one norm for each of two inputs, joined",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.LayerNorm(8), nn.LayerNorm(8), nn.Linear(16, 4)

    def forward(self, a, b):
        return self.head(torch.cat([self.left(a), self.right(b)], 1))

model = Net()
""",
        "a=4x8 b=4x8",
    ),
)
