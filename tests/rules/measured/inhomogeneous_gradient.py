"""NC603: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

GOOD = (
    Example(
        "branches that start at zero, whose inner weights have no gradient yet",
        """
class ReZero(nn.Linear):
    def __init__(self, width):
        super().__init__(width, width)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.gain * F.relu(super().forward(x))

model = nn.Sequential(*[ReZero(32) for _ in range(10)], nn.Linear(32, 4))
""",
        "8x32",
    ),
    Example(
        "dense branches behind trained scales that start small",
        """
class Dense(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 8))
        self.scale = nn.Parameter(torch.full((8,), 1e-6))

    def forward(self, x):
        return torch.cat((x, self.layers(x) * self.scale), 1)

layers = [part for i in range(3) for part in (nn.Linear(32, 32), nn.ReLU(), Dense(32), nn.Linear(40, 32), nn.ReLU())]
model = nn.Sequential(*layers, nn.Linear(32, 4))
""",
        "8x32",
    ),
)
