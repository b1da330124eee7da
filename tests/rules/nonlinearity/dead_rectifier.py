"""NC105: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "the logarithm of a probability, rectified",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        return torch.relu(F.log_softmax(self.fc(x), dim=1))

model = Net()
""",
        "8x16",
    ),
    Example(
        "negative weights on rectified values",
        """
model = nn.Sequential(
    nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32, bias=False), nn.ReLU(), nn.Linear(32, 4)
)
with torch.no_grad():
    model[2].weight.abs_().neg_()
""",
        "8x16",
    ),
    Example(
        "a margin subtracted from normalized values",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm, self.head = nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head((self.norm(self.fc(x)) - 20).clamp(min=0))

model = Net()
""",
        "8x16",
    ),
    Example(
        "a sign turned around between two rectifiers",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.a(x))
        return self.b(F.relu(-1 * x))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "few units in front of a gate, whose input hardly varies: half of PyTorch's own biases are negative",
        """
class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16)
        self.squeeze, self.excite = nn.Conv2d(16, 2, 1), nn.Conv2d(2, 16, 1)
        self.head = nn.Linear(16, 4)
        nn.init.uniform_(self.squeeze.bias, -0.25, -0.1)

    def forward(self, x):
        x = self.norm(self.conv(x))
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        return self.head(F.relu(x).mean((2, 3)))

model = Gated()
""",
        "4x3x32x32",
    ),
    Example(
        "a zero scale at the end of a residual branch, ReLU after the sum",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        return F.relu(x + self.norm(self.conv(x)))

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 4))
""",
        "4x3x8x8",
    ),
    Example(
        "a strongly negative bias before a gate, and before a head",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.value, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)
        nn.init.constant_(self.gate.bias, -5.0)
        nn.init.constant_(self.head.bias, -4.6)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return self.head(gate * F.relu(self.value(x)) + (1 - gate) * x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "a leaky rectifier comes back",
        """
model = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(), nn.Linear(32, 4))
nn.init.constant_(model[0].bias, -10.0)
""",
        "8x16",
    ),
    Example(
        "both signs of a rectified value",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 32), nn.Linear(64, 4)

    def forward(self, x):
        x = self.a(x)
        return self.b(torch.cat([F.relu(x), F.relu(-x)], 1))

model = Net()
""",
        "8x16",
    ),
)
