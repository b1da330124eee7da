"""NC608: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a hard choice by argmax",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.router, self.table, self.head = nn.Linear(16, 8), nn.Embedding(8, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.table(self.router(x).argmax(-1)))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "a frozen encoder that says so",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(16, 32), nn.Linear(32, 4)
        self.encoder.requires_grad_(False)

    def forward(self, x):
        with torch.no_grad():
            x = F.relu(self.encoder(x))
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
)
