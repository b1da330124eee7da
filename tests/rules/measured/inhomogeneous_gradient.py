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
)
