"""NC907: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "class numbers in the place of logits",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return self.layer(x).argmax(dim=1)

model = Net()
""",
        "4x8",
    ),
    Example(
        "a mask in a dictionary",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 1)

    def forward(self, x):
        return {"mask": torch.sigmoid(self.layer(x)) > 0.5}

model = Net()
""",
        "4x8",
    ),
    Example(
        "the places of the largest, not the largest",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return self.layer(x).topk(2, dim=1).indices

model = Net()
""",
        "4x8",
    ),
    Example(
        "a number that Python holds",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return self.layer(x).shape[0]

model = Net()
""",
        "4x8",
    ),
    Example("no parameters", "model = nn.Sequential(nn.Flatten(), nn.ReLU())", "4x2x3"),
)

GOOD = (
    Example(
        "a complex output",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return torch.fft.rfft(self.layer(x))

model = Net()
""",
        "4x8",
    ),
    Example(
        "the largest with their places",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return self.layer(x).topk(2, dim=1)

model = Net()
""",
        "4x8",
    ),
    Example(
        "a loss in the place of an output",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return self.layer(x).square().mean()

model = Net()
""",
        "4x8",
    ),
    Example(
        "a tensor deep inside what is returned",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        return [{"head": (x.long(), self.layer(x))}]

model = Net()
""",
        "4x8",
    ),
)
