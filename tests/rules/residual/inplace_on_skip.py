"""NC403: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a functional ReLU, and the sum in place too",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        residual = x
        out = self.conv1(F.relu(x, inplace=True))
        out = self.conv2(F.relu(out, inplace=True))
        out += residual
        return out

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "the long skip of a net whose blocks add in place",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.fuse = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.head(x)
        skip = x
        for block in self.blocks:
            x += F.relu(block(x)) - 0.1
        return self.tail(skip + self.fuse(x))

model = Net()
""",
        "2x3x8x8",
    ),
    Example(
        "a helper that scales its argument in place",
        """
def standardized(x):
    x -= x.mean(dim=1, keepdim=True)
    x /= x.std(dim=1, keepdim=True) + 1e-5
    return x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(16, 32), nn.Linear(32, 4)
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(2))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + torch.tanh(layer(standardized(x)))
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "in-place dropout in the branch, the skip evaluated first",
        """
class Residual(nn.Module):
    def __init__(self, branch, shortcut):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x):
        return self.shortcut(x) + self.branch(x)

def branch():
    return nn.Sequential(nn.Dropout(0.1, inplace=True), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))

model = nn.Sequential(nn.Linear(16, 32), *[Residual(branch(), nn.Identity()) for _ in range(2)], nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "a U-Net that concatenates what its encoder has overwritten",
        """
class Level(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2, True), nn.Conv2d(channels, channels, 4, 2, 1), inner, nn.ReLU(True),
            nn.ConvTranspose2d(channels, channels, 4, 2, 1),
        )

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)

model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Level(8, nn.Conv2d(8, 8, 1)), nn.Conv2d(16, 3, 1))
""",
        "2x3x16x16",
    ),
)

GOOD = (
    Example(
        "the block of ResNet: in place on sums, of which the next block's skip is one",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        identity = x
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        out += identity
        return self.relu(out)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a norm makes a tensor for the in-place ReLU",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "the skip is a copy",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x):
        identity = x.clone()
        return identity + self.conv(self.relu(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a ReLU on what is rectified already changes nothing",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))

    def forward(self, x):
        return F.relu(x + self.body(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "operations written as statements: every later use means the new value",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.layer, self.head = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = self.stem(x)
        x.relu_()
        x = x + torch.tanh(self.layer(x))
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
)
