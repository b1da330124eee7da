"""NC917: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example


def net(lines: str) -> str:
    """Maps `h` (N, 4, 6, 6), and what is returned of them."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.pool = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.MaxPool2d(2)
        self.head, self.small = nn.Linear(36, 10), nn.Linear(9, 10)

    def forward(self, x):
        h = self.norm(self.conv(x)).relu()
        {lines}

model = Net()
"""


BAD = (
    Example("behind a pool, reshaped", net("return self.small(self.pool(h).reshape(-1, 9)).log_softmax(1)"), "2x3x8x8"),
    Example("shape as a tuple", net("return self.head(h.view((-1, 36)))"), "2x3x8x8"),
)
GOOD = (
    Example("put together again", net("return self.head(h.view(-1, 36)).view(len(x), 4, 10).mean(1)"), "2x3x8x8"),
    Example("the number of rows is written", net("return self.head(h.view(len(x) * 4, 36))"), "2x3x8x8"),
    Example("one result for each place", net("return h.permute(0, 2, 3, 1).reshape(-1, 4)"), "2x3x8x8"),
)
