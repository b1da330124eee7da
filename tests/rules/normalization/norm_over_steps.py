"""NC308: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.normalization.norm_over_steps import net

BAD = (
    Example("behind an activation and dropout", net("nn.BatchNorm1d(7)", "self.norm(F.dropout(F.gelu(h), 0.1))"), "4x7x16"),
    Example(
        "of the states of a recurrent layer",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent, self.norm, self.head = nn.GRU(16, 8, batch_first=True), nn.BatchNorm1d(7), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.norm(self.recurrent(x)[0])[:, -1])

model = Net()
""",
        "4x7x16",
    ),
    Example(
        "of an embedding",
        "model = nn.Sequential(nn.Embedding(50, 16), nn.BatchNorm1d(7), nn.Flatten(), nn.Linear(7 * 16, 4))",
        "long:4x7",
    ),
)
GOOD = (
    Example(
        "states with the steps first",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent, self.norm, self.head = nn.GRU(16, 8), nn.BatchNorm1d(4), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.norm(self.recurrent(x)[0]).mean(0))

model = Net()
""",
        "7x4x16",
    ),
    Example("on vectors", net("nn.BatchNorm1d(32)", "self.norm(h.flatten(0, 1)).view_as(h)"), "4x7x16"),
    Example(
        "behind a convolution",
        "model = nn.Sequential(nn.Conv1d(16, 32, 3), nn.BatchNorm1d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 5, 4))",
        "4x16x7",
    ),
)
