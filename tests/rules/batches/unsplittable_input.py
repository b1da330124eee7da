"""NC703: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.unsplittable_input import MASKED

BAD = (
    Example(
        "a learned temperature handed to forward",
        """
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x, mean):
        return self.layer(x - mean)

model = Scaled()
""",
        "x=8x8 mean=8",
        devices=4,
        batch_size=16,
    ),
)

GOOD = (Example("one device gets everything", MASKED, "x=8x8 mask=1x8", devices=1),)
