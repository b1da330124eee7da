"""NC502: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a convolution filled with one number",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 4)
        nn.init.constant_(self.conv.weight, 0.05)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "a bare parameter, never initialized",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(16, 32))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(torch.tanh(x @ self.weight))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "the last layer of a coupling, whose scale is a result beside",
        """
class Coupling(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(4, 32), nn.Linear(32, 8)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x):
        kept, moved = x.chunk(2, 1)
        scale, shift = self.last(torch.tanh(self.inner(kept))).chunk(2, 1)
        return torch.cat([moved * scale.exp() + shift, kept], 1), scale

class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Coupling(), Coupling()

    def forward(self, x):
        x, one = self.first(x)
        x, two = self.second(x)
        return x, one.sum(1) + two.sum(1)

model = Flow()
""",
        "8x8",
    ),
    Example(
        "a mixing matrix that hangs on the input from zero on, beside a fixed one",
        """
class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.out = nn.Linear(8, 32), nn.Linear(32, 2)
        self.moving, self.fixed = nn.Parameter(torch.zeros(32, 16)), nn.Parameter(torch.eye(4).flatten())

    def forward(self, x):
        x = self.read(x)
        mix = torch.tanh(x @ self.moving) + self.fixed
        return self.out(F.relu(mix.unflatten(1, (4, 4)) @ x.unflatten(1, (4, 8))).flatten(1))

model = Mix()
""",
        "8x8",
    ),
    Example(
        "the end of a branch, before its own gate",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.squeeze, self.excite = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        h = self.conv(F.silu(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(h.mean((2, 3), keepdim=True)))))
        return x + gate * h

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(288, 4))
""",
        "4x3x8x8",
    ),
    Example(
        "residual branches that end in zero",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(32, 32), nn.Linear(32, 32)
        nn.init.zeros_(self.two.weight)

    def forward(self, x):
        return x + self.two(F.relu(self.one(x)))

model = nn.Sequential(nn.Linear(16, 32), Block(), Block(), nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "a low-rank update whose second factor starts at zero",
        """
class LowRank(nn.Module):
    def __init__(self):
        super().__init__()
        self.base, self.down, self.up = nn.Linear(32, 32), nn.Linear(32, 4, bias=False), nn.Linear(4, 32, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))

model = nn.Sequential(LowRank(), nn.ReLU(), nn.Linear(32, 4))
""",
        "8x32",
    ),
    Example(
        "a fixed averaging filter",
        """
class Blur(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, groups=3, bias=False)
        nn.init.constant_(self.conv.weight, 1 / 9)
        self.conv.weight.requires_grad_(False)
        self.head = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.head(self.conv(x)).mean((2, 3))

model = Blur()
""",
        "4x3x8x8",
    ),
    Example(
        "gates modulated from zero",
        """
class Modulated(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.modulation = nn.Linear(32, 32), nn.Linear(8, 64)
        self.norm = nn.LayerNorm(32, elementwise_affine=False)
        nn.init.zeros_(self.modulation.weight)
        self.head = nn.Linear(32, 4)

    def forward(self, x, condition):
        scale, shift = self.modulation(condition).chunk(2, dim=1)
        x = self.layer(x)
        return self.head(F.relu(self.norm(x) * (1 + scale) + shift))

model = Modulated()
""",
        "x=8x32 condition=8x8",
    ),
)
