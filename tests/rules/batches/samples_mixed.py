"""NC705: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.samples_mixed import net

BAD = (
    Example("similarities between samples", net("torch.softmax(h @ h.T, 1) @ h"), "4x8", devices=2, batch_size=8),
    Example("scaled by the batch size", net("h / h.size(0)"), "4x8", devices=2, batch_size=8),
    Example(
        "a gate for all samples, from the mean of large images",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gate, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = F.relu(self.conv(x))
        return self.head((h * torch.sigmoid(self.gate(h.mean((0, 2, 3))))[:, None, None]).mean((2, 3)))

model = Net()
""",
        "4x3x96x96",
    ),
    Example(
        "time taken for the batch",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 16), nn.Linear(16, 4)

    def forward(self, x):  # (N, T, 8)
        return self.head(self.rnn(x)[0])

model = Net()
""",
        "4x5x8",
        devices=2,
    ),
    Example(
        "batch normalization (information)",
        "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))",
        "8x3x8x8",
        devices=2,
        batch_size=32,
    ),
)

GOOD = (
    Example(
        "a batch folded into time, and back",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):  # (N, T, 8)
        n, t, c = x.shape
        return self.head(self.layer(x.view(n * t, c)).view(n, t, c).mean(1))

model = Net()
""",
        "4x5x8",
        devices=2,
    ),
    Example(
        "normalization within each sample",
        "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))",
        "8x3x8x8",
        devices=2,
        batch_size=32,
    ),
)
