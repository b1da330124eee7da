"""NC909: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.wiring.crossed_axes import net

STATES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(50, 8), nn.GRU(8, 6, 2, batch_first=True), nn.Linear(12, 4)

    def forward(self, tokens):
        _, h = self.rnn(self.embed(tokens))
        return self.head({expression})

model = Net()
"""
MAPS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 10, 3)

    def forward(self, x):
        h = self.conv(x)
        return {expression}

model = Net()
"""
COLUMNS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.rnn = nn.Conv2d(1, 8, 3, 2, 1), nn.GRU(8 * 8, 6, batch_first=True)

    def forward(self, x):  # (N, 1, 16, W)
        n, c, height, width = (h := self.conv(x)).shape
        return self.rnn(h.view(n, width, c * height))[0]

model = Net()
"""
SHIFT = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.position, self.head = nn.Embedding(50, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, tokens):
        h = self.embed(tokens)
        scores = h @ self.position(h).transpose(1, 2)
        n, t, _ = scores.shape
        scores = F.pad(scores, (1, 0)).view(n, t + 1, t)[:, 1:].view(n, t, t)
        return self.head(scores.softmax(-1) @ h)

model = Net()
"""
SHIFT_AND_CUT = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.positions, self.head = nn.Embedding(50, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, tokens):
        h = self.embed(tokens)
        n, t, _ = h.shape
        scores = h @ self.positions(torch.cat([h, h], 1)).transpose(1, 2)
        scores = scores.reshape(n, 2 * t, t)[:, 1:, :].reshape(n, t, 2 * t - 1)[:, :, :t]
        return self.head(scores.softmax(-1) @ h)

model = Net()
"""
BAD = (
    Example("layers and samples", STATES.format(expression="h.view(tokens.size(0), -1)"), "tokens=long:3x5"),
    Example("classes behind the map, by a view", MAPS.format(expression="h.reshape(-1, 10)"), "2x3x9x8"),
    Example("one detection of a cell, by a view", MAPS.format(expression="h.view(len(x), 7, 6, 2, 5)"), "2x3x9x8"),
    Example("rows of a map with as many channels", MAPS.format(expression="h.view(len(x), h.shape[2], -1)"), "2x3x12x12"),
    Example("batch and steps", net("h.reshape(t, n, 8)[-1]"), "tokens=long:3x16"),
    Example("columns of a map whose height is given", COLUMNS, "3x1x16x32"),
)
GOOD = (
    Example("relative positions, shifted and cut", SHIFT_AND_CUT, "tokens=long:3x5"),
    Example("layers moved behind the samples", STATES.format(expression="h.transpose(0, 1).flatten(1)"), "tokens=long:3x5"),
    Example("layers and directions", STATES.format(expression="h.view(2, 1, -1, 6)[-1, 0].repeat(1, 2)"), "tokens=long:3x5"),
    Example("classes moved, then viewed", MAPS.format(expression="h.permute(0, 2, 3, 1).reshape(-1, 10)"), "2x3x9x8"),
    Example("positions of a map", MAPS.format(expression="h.view(len(x), 2, 5, -1)"), "2x3x9x8"),
    Example("channels of a map with as many rows", MAPS.format(expression="h.view(len(x), h.shape[1], -1)"), "2x3x12x12"),
    Example("capsules of a map", MAPS.format(expression="h.view(len(x), -1, 5)"), "2x3x9x8"),
    Example("relative positions, shifted", SHIFT, "tokens=long:3x5"),
    Example("one step", net("heads.reshape(n, t, 8)"), "tokens=long:3x1"),
    Example(
        "heads folded into the batch",
        net("h.view(n, t, 2, 4).transpose(1, 2).reshape(-1, t, 4).repeat(1, 1, 2)"),
        "tokens=long:3x16",
    ),
)
