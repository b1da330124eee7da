"""NC407: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "the input's name is reused for the pre-activation",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.preactivation = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1)
        )

    def forward(self, x):
        x = self.preactivation(x)
        x = x + self.body(x)
        return x

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "without classes for the blocks",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(4))
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.layers):
            x = F.gelu(norm(x))
            x = x + layer(x)
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "a residual wrapper inside, the pre-activation outside",
        """
class Residual(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return x + self.function(x)

def block():
    return nn.Sequential(
        nn.GroupNorm(2, 8), nn.SiLU(), Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1)))
    )

model = nn.Sequential(nn.Conv2d(3, 8, 3), block(), block(), block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "written with functions, adding in place",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(32, 32) / 6) for _ in range(3))
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = self.stem(x)
        for weight in self.weights:
            y = torch.relu(F.layer_norm(x, (32,)))
            x = F.linear(y, weight)
            x += y
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "a method that prepares the block's input, through an identity shortcut",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.conv, self.shortcut = nn.BatchNorm1d(8), nn.Conv1d(8, 8, 3, padding=1), nn.Identity()

    def prepared(self, x):
        return nn.functional.leaky_relu(self.norm(x), 0.1)

    def forward(self, x):
        x = self.prepared(x)
        return torch.add(self.conv(x), self.shortcut(x))

model = nn.Sequential(nn.Conv1d(2, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 30, 3))
""",
        "4x2x32",
    ),
)

GOOD = (
    Example(
        "the order of ResNet, after a stem with norm and ReLU",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x):
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + x)

stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
model = nn.Sequential(stem, *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a projection after the pre-activation, where a stage begins",
        """
class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(after), nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None

    def forward(self, x):
        out = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(out)
        out = self.conv2(F.relu(self.norm2(self.conv1(out))))
        return out + shortcut

model = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1), nn.Flatten(), nn.Linear(16 * 9, 10)
)
""",
        "4x3x8x8",
    ),
    Example(
        "a post-norm Transformer: the norm follows the sum, and nothing rectifies",
        """
model = nn.Sequential(
    nn.Linear(8, 16), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
    nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 4),
)
""",
        "2x5x8",
    ),
    Example(
        "a block's own first layer, norm and ReLU, and a skip around its second",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)))
        return x + self.conv2(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "norm and activation after the last block",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(), Block(), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(),
    nn.Linear(8 * 16, 10),
)
""",
        "4x3x8x8",
    ),
)
