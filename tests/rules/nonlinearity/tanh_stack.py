"""NC101: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a hand-written squashing function, behind layer norms that its own slope outruns",
        """
class Squash(nn.Module):
    def forward(self, x):
        return torch.atan(8 * x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(40))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.squash = Squash()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.layers:
            x = self.squash(F.layer_norm(layer(x), (64,)))
        return self.head(x)

model = Net()
""",
        "8x64",
    ),
)

GOOD = (
    Example(
        "twenty tanh layers at PyTorch's default: the cause is the initialization",
        """
model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(20)], nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "tanh as a gate, and on the output",
        """
class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.value, self.gate = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        return x + F.relu(self.value(x)) * torch.tanh(self.gate(x))

model = nn.Sequential(*[Gated() for _ in range(12)], nn.Linear(32, 4), nn.Tanh())
""",
        "8x32",
    ),
)
