"""NC102: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "three sigmoid layers, inside the budget: information",
        """
layers = [nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 32), nn.Sigmoid(), nn.Linear(32, 32), nn.Sigmoid()]
model = nn.Sequential(*layers, nn.Linear(32, 10))
for layer in layers[::2]:
    nn.init.xavier_normal_(layer.weight, gain=2.0)
""",
        "8x64",
    ),
    Example(
        "two sigmoid layers that cost half of the budget",
        """
model = nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 32), nn.Sigmoid(), nn.Linear(32, 10))
""",
        "8x64",
    ),
    Example(
        "as a function, at Xavier's initialization",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(10))
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)

model = Net()
""",
        "8x64",
    ),
    Example(
        "layer norm before each sigmoid does not rescue it",
        """
def layer():
    return nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.Sigmoid())

model = nn.Sequential(*[layer() for _ in range(12)], nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "written out by hand",
        """
class Logistic(nn.Module):
    def forward(self, x):
        return 1 / (1 + torch.exp(-x))

model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), Logistic()) for _ in range(8)], nn.Linear(64, 10))
""",
        "8x64",
    ),
)

GOOD = (
    Example(
        "sigmoid as the gate of squeeze-and-excitation",
        """
class Excite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

    def forward(self, x):
        y = F.relu(self.norm(self.conv(x)))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        return x + y * gate

model = nn.Sequential(*[Excite() for _ in range(10)], nn.Flatten(), nn.Linear(16 * 64, 10))
""",
        "4x16x8x8",
    ),
    Example(
        "x * sigmoid(x) is no sigmoid: it is SiLU",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(8))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
            x = x * torch.sigmoid(x)
        return self.head(x)

model = Net()
""",
        "8x64",
    ),
)
