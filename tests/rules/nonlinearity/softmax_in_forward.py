"""NC107: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "before a cross-entropy in forward",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 8)

    def forward(self, x):
        return F.cross_entropy(self.layer(x).softmax(dim=-1), torch.arange(8))

model = Net()
""",
        "8x16",
    ),
    Example(
        "for each pixel, over the channels",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.classify = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 5, 1)

    def forward(self, x):
        return torch.softmax(self.classify(F.relu(self.conv(x))), 1)

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "twice",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 10), nn.Softmax(dim=-1))

    def forward(self, x):
        return F.log_softmax(self.body(x), dim=-1)

model = Net()
""",
        "8x16",
    ),
    Example(
        "log_softmax twice, for a loss that wants it once",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(x).log_softmax(-1).log_softmax(-1)

def loss(output, target):
    return F.nll_loss(output, target)

model = Net()
""",
        "8x16",
    ),
    Example(
        "one of several results",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(16, 32), nn.Linear(32, 10)

    def forward(self, x):
        features = F.relu(self.fc(x))
        return {"features": features, "out": self.head(features).softmax(dim=1)}

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "attention weights are used, and returned too",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.head = nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x):
        weights = torch.softmax(self.score(x), dim=1)
        return self.head((weights * x).sum(1)), weights

model = Net()
""",
        "8x5x16",
    ),
    Example(
        "only outside of training",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.fc(x)
        return x if self.training else x.softmax(1)

model = Net().eval()
""",
        "8x16",
    ),
    Example(
        "next to the logits",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        logits = self.fc(x)
        return logits, F.softmax(logits, dim=1)

model = Net()
""",
        "8x16",
    ),
    Example(
        "a sigmoid for each label",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10), nn.Sigmoid())
""",
        "8x16",
    ),
)
