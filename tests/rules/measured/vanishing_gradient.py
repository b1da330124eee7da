"""NC601: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

GOOD = (
    Example(
        "branches that start at zero",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        nn.init.zeros_(self.down.weight)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))

model = nn.Sequential(*[Block() for _ in range(10)], nn.Linear(32, 4))
""",
        "8x32",
    ),
)
