"""NC405: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a wrapper around blocks that have a skip already",
        """
class Residual(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x) + x

class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16), nn.Dropout(0.1))

    def forward(self, x):
        return x + self.layers(x)

model = nn.Sequential(nn.Linear(8, 16), *[Residual(FeedForward()) for _ in range(3)], nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "an identity shortcut beside the skip",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.shortcut = nn.Sequential()

    def forward(self, x):
        out = self.conv2(F.relu(self.conv1(x)))
        out += self.shortcut(x)
        out += x
        return out

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a sum over a list that holds the input twice",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(16, 16) for _ in range(2)), nn.Linear(16, 4)

    def forward(self, x):
        for layer in self.layers:
            x = sum([x, torch.tanh(layer(x)), x])
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "around a block that ends in the ReLU after its sum",
        """
class BasicBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2, self.relu = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return self.relu(out + x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)
        self.blocks = nn.ModuleList(BasicBlock() for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "attention whose module adds the query, in a layer that adds it too",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)

    def forward(self, x):
        y = self.norm(x)
        return self.attention(y, y, y, need_weights=False)[0].add(x)

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.drop = Attention(), nn.Dropout(0.0)

    def forward(self, x):
        return torch.add(x, self.drop(self.attention(x)))

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), nn.Linear(16, 4))
""",
        "2x5x8",
    ),
)

GOOD = (
    Example(
        "two residual sums, one after the other",
        """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.feed = nn.Linear(16, 16), nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, x):
        x = x + self.mix(self.norm1(x))
        return x + self.feed(self.norm2(x))

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "a long skip around several residual blocks",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.body = nn.Sequential(Block(), Block(), Block())

    def forward(self, x):
        x = self.head(x)
        return self.tail(x + self.body(x))

model = Net()
""",
        "2x3x8x8",
    ),
    Example(
        "a group of blocks with a convolution before its long skip",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))

class Group(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Block(), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Group(), Group(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "residuals of residuals, scaled down (ESRGAN)",
        """
class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x):
        out = self.conv2(torch.cat((x, F.leaky_relu(self.conv1(x), 0.2)), 1))
        return out * 0.2 + x

class Group(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Dense(), Dense(), Dense())

    def forward(self, x):
        return self.body(x) * 0.2 + x

model = nn.Sequential(nn.Conv2d(3, 8, 3), Group(), Group(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "the first features enter every block (as in GCNII)",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 16), nn.Linear(16, 4)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        first = x = self.stem(x)
        for layer in self.layers:
            x = x + torch.relu(layer(x)) + first
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
)
