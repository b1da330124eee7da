"""NC602: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "residual branches that double the signal at every block",
        """
class Doubling(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32, 32)
        nn.init.orthogonal_(self.layer.weight)

    def forward(self, x):
        return 2 * x + self.layer(x)

model = nn.Sequential(*[Doubling() for _ in range(12)], nn.Linear(32, 4))
""",
        "8x32",
    ),
)
