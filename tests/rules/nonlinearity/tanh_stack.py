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
    Example(
        "twenty tanh layers at PyTorch's default: they belong to the initialization, which is the cause",
        """
model = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(20)], nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "twenty tanh layers, initialized for tanh",
        """
class Layer(nn.Linear):
    def reset_parameters(self):
        nn.init.xavier_uniform_(self.weight, gain=5 / 3)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return torch.tanh(super().forward(x))

model = nn.Sequential(*(Layer(64, 64) for _ in range(20)), nn.Linear(64, 10))
""",
        "8x64",
    ),
    Example(
        "convolutions over a sequence, with dropout between",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(16, 16, 3, padding=1) for _ in range(5))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for convolution in self.convolutions:
            x = F.dropout(F.softsign(convolution(x)), 0.1, self.training)
        return self.head(x.mean(2))

model = Net()
""",
        "4x16x20",
    ),
)

GOOD = (
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
    Example(
        "tanh behind norms, and tanh with ways around",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32, 32)

    def forward(self, x):
        return x + torch.tanh(self.layer(x))

norms = [part for _ in range(6) for part in (nn.Linear(32, 32), nn.BatchNorm1d(32), nn.Tanh())]
model = nn.Sequential(*norms, *[Block() for _ in range(6)], nn.Linear(32, 4))
""",
        "8x32",
    ),
)
