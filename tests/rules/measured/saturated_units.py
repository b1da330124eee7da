"""NC606: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "sigmoids that a shift drives to their upper end",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x) + 6.0)
        return self.head(x)

model = Net()
""",
        "8x32",
    ),
)

GOOD = (
    Example(
        "gates",
        """
class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.value, self.gate = nn.Linear(32, 32), nn.Linear(32, 32)
        nn.init.constant_(self.gate.bias, 8.0)

    def forward(self, x):
        return self.value(x) * torch.sigmoid(self.gate(x))

model = nn.Sequential(Gated(), nn.Linear(32, 4))
""",
        "8x32",
    ),
)
