"""NC205: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "in a loop that treats the last layer like the others",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 1)])
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = self.drop(layer(x if i == 0 else torch.relu(x)))
        return x.squeeze(1)

model = Net()
""",
        "8x16",
    ),
    Example(
        "one of two heads, before a sigmoid",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.label, self.box = nn.Linear(16, 32), nn.Linear(32, 3), nn.Linear(32, 4)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = torch.tanh(self.body(x))
        return {"box": self.box(x), "label": torch.sigmoid(self.drop(self.label(x)))}

model = Net()
""",
        "8x16",
    ),
    Example(
        "channels of class scores",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 5, 1), nn.Dropout2d(0.2), nn.LogSoftmax(dim=1)
)
""",
        "4x3x8x8",
    ),
    Example(
        "a matrix product",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 32)
        self.weight = nn.Parameter(torch.randn(32, 4) * 0.1)

    def forward(self, x):
        return torch.dropout(torch.relu(self.fc(x)) @ self.weight + 1, 0.3, self.training)

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "a block that keeps the shape",
        """
model = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16), nn.Dropout(0.1))
""",
        "8x5x16",
    ),
    Example(
        "on a residual branch",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.branch, self.drop = nn.Linear(16, 32), nn.Linear(32, 32), nn.Dropout(0.1)

    def forward(self, x):
        x = self.embed(x)
        return x + self.drop(self.branch(F.relu(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "a rate of zero",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4), nn.Dropout(0.0))
""",
        "8x16",
    ),
    Example(
        "states of a recurrent net, for a decoder",
        """
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent, self.drop = nn.GRU(16, 32, batch_first=True), nn.Dropout(0.3)

    def forward(self, x):
        return self.drop(self.recurrent(x)[0])

model = Encoder()
""",
        "8x5x16",
    ),
)
