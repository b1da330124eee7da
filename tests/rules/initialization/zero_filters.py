"""NC509: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a slice that was meant to be the input's",
        """
model = nn.Sequential(nn.Linear(16, 32, bias=False), nn.ReLU(), nn.Linear(32, 4))
with torch.no_grad():
    model[0].weight[:3] = 0
""",
        "8x16",
    ),
    Example(
        "a transposed convolution",
        """
model = nn.Sequential(nn.ConvTranspose2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 4, 3))
with torch.no_grad():
    model[0].weight[:, 5] = 0
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "a few weights of each filter",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
nn.init.sparse_(model[0].weight, sparsity=0.5)
""",
        "8x16",
    ),
    Example(
        "the end of a branch",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)
        nn.init.zeros_(self.down.weight[:8])

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))

model = nn.Sequential(Block(), nn.Linear(16, 4))
""",
        "8x16",
    ),
)
