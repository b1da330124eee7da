"""NC507: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a division by zero in an initialization of one's own",
        """
class Net(nn.Module):
    def __init__(self, depth=0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 4) / torch.tensor(float(depth)))

    def forward(self, x):
        return x @ self.weight

model = Net()
""",
        "8x16",
    ),
    Example(
        "weights that float16 cannot hold",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
with torch.no_grad():
    model[0].bias.copy_((torch.ones(32) * 1e5).half())
""",
        "8x16",
    ),
    Example(
        "a NaN in an embedding",
        """
model = nn.Sequential(nn.Embedding(100, 16), nn.Flatten(), nn.Linear(64, 4))
model[0].weight.data[7] = torch.log(torch.tensor(-1.0))
""",
        "long:8x4",
    ),
    Example(
        "a buffer of constants that is NaN",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("std", torch.zeros(3) / 0)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return self.head(x / self.std)

model = Net()
""",
        "8x3",
    ),
)

GOOD = (
    Example(
        "the start of a running maximum",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)
        self.register_buffer("largest", torch.tensor(float("-inf")))
        self.register_buffer("smallest", torch.tensor(float("inf")))

    def forward(self, x):
        self.largest = torch.maximum(self.largest, x.max())
        self.smallest = torch.minimum(self.smallest, x.min())
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "large but finite: the sum overflows, no element does",
        """
model = nn.Linear(16, 4)
with torch.no_grad():
    model.weight.fill_(3e38)
""",
        "8x16",
    ),
    Example(
        "no values at all",
        """
with torch.device("meta"):
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "half precision, integers and complex numbers",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("halves", torch.full((70_000,), 6e4).half())
        self.register_buffer("phases", torch.polar(torch.ones(8), torch.arange(8.0)))

    def forward(self, x):
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
)
