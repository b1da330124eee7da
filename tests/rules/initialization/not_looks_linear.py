"""NC503: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "written inline, with convolutions, the halves the other way round",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.layers = nn.ModuleList(nn.Conv2d(16, 8, 3, padding=1) for _ in range(14))
        self.head = nn.Linear(16, 10)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(torch.cat((torch.relu(-x), x.clamp(min=0)), 1))
        return self.head(torch.cat((torch.relu(-x), torch.relu(x)), 1).mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "a shallow CReLU net",
        """
class CReLU(nn.Module):
    def forward(self, x):
        return torch.cat([F.relu(x), F.relu(-x)], dim=1)

model = nn.Sequential(nn.Linear(64, 32), CReLU(), nn.Linear(64, 32), CReLU(), nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "skips around the blocks",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(32), nn.Linear(64, 32)

    def forward(self, x):
        y = self.norm(x)
        return x + self.linear(torch.cat([F.relu(y), F.relu(-y)], 1))

model = nn.Sequential(nn.Linear(64, 32), *[Block() for _ in range(28)], nn.Linear(32, 10))
""",
        "8x64",
    ),
    Example(
        "thirty layers of plain ReLU are no matter of this rule",
        """
def layer():
    linear = nn.Linear(64, 64)
    nn.init.kaiming_normal_(linear.weight)
    return nn.Sequential(linear, nn.ReLU())

model = nn.Sequential(*[layer() for _ in range(28)], nn.Linear(64, 10))
""",
        "8x64",
    ),
)
