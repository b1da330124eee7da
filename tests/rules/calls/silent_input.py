"""NC915: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

RECURRENT = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.head({expression})

model = Net()
"""
CHANNELS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.conv({expression}).relu().mean((2, 3)))

model = Net()
"""
BAD = (
    Example("the last step is cut off", RECURRENT.format(expression="self.rnn(x[:, :-1])[0][:, -1]"), "4x7x5"),
    Example("the channels beyond the third", CHANNELS.format(expression="x[:, :3]"), "2x4x9x9"),
)
GOOD = (
    Example("all steps", RECURRENT.format(expression="self.rnn(x)[0][:, -1]"), "4x7x5"),
    Example("all channels, though not all positions", CHANNELS.format(expression="x"), "2x3x10x10"),
    Example(
        "a part that a comparison alone reads", RECURRENT.format(expression="self.rnn(x * (x[:, :, :1] > 0))[0][:, -1]"), "4x7x5"
    ),
    Example(
        "a convolution that steps over the end",
        "model = nn.Sequential(nn.Conv1d(3, 4, 2, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))",
        "4x3x6",
    ),
)
