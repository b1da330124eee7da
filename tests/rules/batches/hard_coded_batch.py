"""NC704: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.hard_coded_batch import net, recurrent

BAD = (
    Example(
        "eight copies of a position code",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.position, self.head = nn.Parameter(torch.zeros(1, 5, 6)), nn.Linear(12, 4)

    def forward(self, x):
        return self.head(torch.cat([x, self.position.expand(8, -1, -1)], 2))

model = Net()
""",
        "8x5x6",
        devices=4,
        batch_size=32,
    ),
    Example(
        "rows that are two samples each",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return self.layer(x).reshape(4, -1)

model = Net()
""",
        "4x8",
        devices=2,
        batch_size=16,
    ),
)

GOOD = (
    Example("a first state for the batch that comes", recurrent("x.new_zeros(1, x.size(0), 16)"), "4x5x8", devices=2),
    Example("as many features as samples", net("h.view(-1, 144)"), "144x3x8x8", devices=2),
)
