"""NC707: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.lost_buffer import RUNNING

BAD = (
    Example(
        "a state that the next batch starts from",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.state = nn.GRU(8, 8, batch_first=True), None

    def forward(self, x):
        y, self.state = self.rnn(x, self.state)
        return y

model = Net()
""",
        "4x5x8",
        devices=2,
    ),
)

GOOD = (
    Example(
        "one device",
        RUNNING.format(update="self.mean.lerp_(h.mean(0).detach(), 0.1)"),
        "4x8",
        devices=1,
    ),
)
