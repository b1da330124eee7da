"""NC301: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "twelve convolutions, inside the budget: information",
        """
layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()]
for _ in range(11):
    layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
for layer in layers[::2]:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 64, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "the same with convolutions",
        """
class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )
        for module in self.branch:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x):
        return x + self.branch(x)

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[Block(16) for _ in range(40)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "a transformer's encoder: a norm before each branch",
        """
layer = nn.TransformerEncoderLayer(32, 4, 64, norm_first=True, batch_first=True)
model = nn.Sequential(nn.Linear(8, 32), nn.TransformerEncoder(layer, 8, enable_nested_tensor=False), nn.Linear(32, 4))
""",
        "2x5x8",
    ),
    Example(
        "a recurrent cell that runs for many steps is one layer",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRUCell(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        h = x.new_zeros(len(x), 16)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return self.head(h)

model = Net()
""",
        "2x20x8",
    ),
    Example(
        "branches that start at zero",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
        nn.init.kaiming_normal_(self.one.weight)
        nn.init.zeros_(self.two.weight)

    def forward(self, x):
        return x + self.two(F.relu(self.one(x)))

model = nn.Sequential(*[Block() for _ in range(40)], nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "branches scaled by a learned factor that starts small",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
        self.scale = nn.Parameter(1e-4 * torch.ones(64))
        nn.init.kaiming_normal_(self.one.weight)
        nn.init.kaiming_normal_(self.two.weight)

    def forward(self, x):
        return x + self.scale * self.two(F.relu(self.one(x)))

model = nn.Sequential(*[Block() for _ in range(40)], nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "self-normalizing: SELU with LeCun's initialization",
        """
layers = []
for _ in range(30):
    linear = nn.Linear(64, 64)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="linear")
    nn.init.zeros_(linear.bias)
    layers += [linear, nn.SELU()]
model = nn.Sequential(*layers, nn.Linear(64, 10))
""",
        "8x64",
    ),
)
