"""NC401: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a plain net of moderate depth: information",
        """
def layer(channels):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[layer(16) for _ in range(12)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "twenty layers of an MLP, well initialized: worth a word",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(20))
        self.head = nn.Linear(64, 10)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)

model = Net()
""",
        "8x64",
    ),
    Example(
        "blocks that compute their shortcut and drop it",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.shortcut = nn.Identity()

    def forward(self, x):
        shortcut = self.shortcut(x)
        return F.relu(self.norm(self.conv(x)))

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(30)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "a plain net of eight layers",
        """
def layer(channels):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[layer(16) for _ in range(7)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "dense connections: each layer sees all before it",
        """
class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(8 + 4 * n, 4, 3, padding=1) for n in range(30))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8 + 4 * n) for n in range(30))
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(128, 10)

    def forward(self, x):
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.layers):
            x = torch.cat([x, layer(F.relu(norm(x)))], 1)
        return self.head(x.mean((2, 3)))

model = Dense()
""",
        "4x3x8x8",
    ),
    Example(
        "a skip around every other layer (ConvMixer): the gradient grows, and more skips are no advice",
        """
class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        x = x + self.norm1(F.gelu(self.depthwise(x)))
        return self.norm2(F.gelu(self.pointwise(x)))

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[Block(16) for _ in range(48)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "thirty layers with orthogonal weights",
        """
layers = []
for _ in range(30):
    linear = nn.Linear(64, 64)
    nn.init.orthogonal_(linear.weight, gain=5 / 3)
    layers += [linear, nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(64, 10))
""",
        "8x64",
    ),
)
