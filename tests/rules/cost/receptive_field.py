"""NC804: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a causal net over time with too few dilated layers",
        """
layers = []
for dilation in (1, 2, 4):
    layers += [nn.Conv1d(8, 8, 3, padding=dilation, dilation=dilation), nn.ReLU()]
model = nn.Sequential(nn.Conv1d(1, 8, 1), *layers, nn.Conv1d(8, 1, 1))
""",
        "2x1x256",
    ),
)

GOOD = (
    Example(
        "an input that is handed out again, beside what sees all of it",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 4, 4)
        self.code = nn.Linear(8 * 64, 10)

    def forward(self, x):
        return x.flip(0), self.code(self.down(x).flatten(1))

model = Net()
""",
        "2x3x32x32",
    ),
    Example(
        "a fully connected layer over the map",
        "model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))",
        "2x3x8x8",
    ),
)
