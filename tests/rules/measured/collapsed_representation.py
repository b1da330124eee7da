"""NC607: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.measured.collapsed_representation import PLAIN

BAD = (
    Example(
        "twenty plain layers: few directions are left, and the gradient grows",
        f"{PLAIN}gain=1.9)",
        "32x64",
    ),
)

GOOD = (
    Example(
        "a residual net",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(64), nn.Linear(64, 64)

    def forward(self, x):
        return x + self.layer(F.relu(self.norm(x)))

model = nn.Sequential(*[Block() for _ in range(50)], nn.Linear(64, 10))
""",
        "32x64",
    ),
)
