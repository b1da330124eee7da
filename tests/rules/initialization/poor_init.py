"""NC501: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "weights drawn far too large",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(128, 128) for _ in range(8))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=1.0)
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)

model = Net()
""",
        "8x128",
    ),
    Example(
        "Xavier's gain of 1 before ReLU, thirty layers deep",
        """
def layer():
    linear = nn.Linear(100, 100)
    nn.init.xavier_normal_(linear.weight)
    return nn.Sequential(linear, nn.ReLU())

model = nn.Sequential(*[layer() for _ in range(30)], nn.Linear(100, 10))
""",
        "8x100",
    ),
)

GOOD = (
    Example(
        "tiny weights that a normalization scales up again",
        """
def layer():
    conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
    nn.init.normal_(conv.weight, std=0.01)
    return nn.Sequential(conv, nn.BatchNorm2d(16), nn.ReLU())

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[layer() for _ in range(10)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "small weights in residual branches",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(64), nn.Linear(64, 256), nn.Linear(256, 64)
        nn.init.normal_(self.up.weight, std=0.02)
        nn.init.normal_(self.down.weight, std=0.02)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))

model = nn.Sequential(*[Block() for _ in range(20)], nn.LayerNorm(64), nn.Linear(64, 10))
""",
        "8x64",
    ),
)
