"""NC406: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "an MLP with the function in the sum",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "a clamp, and dropout after it",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        out = self.first(self.norm(x)).clamp(min=0)
        out = self.drop(self.second(out).clamp(min=0))
        out += x
        return out

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "squashed to (0, 1)",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))

    def forward(self, x):
        return torch.add(torch.sigmoid(self.layer(x)), x)

model = nn.Sequential(nn.Linear(8, 16), *[Block() for _ in range(3)], nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "where the block changes the resolution too",
        """
class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm1, self.norm2, self.relu = nn.BatchNorm2d(after), nn.BatchNorm2d(after), nn.ReLU()
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        return out + self.shortcut(x)

model = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(8, 16, 2), Block(16, 32, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
)
""",
        "4x3x16x16",
    ),
    Example(
        "an attention block with torch.relu_ at its end",
        """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)

    def forward(self, x):
        y = self.norm(x)
        return x + torch.relu_(self.attention(y, y, y)[0])

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), Layer(), nn.Linear(16, 4))
""",
        "2x5x8",
    ),
)

GOOD = (
    Example(
        "the ReLU before the layers (pre-activation)",
        """
class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)

blocks = [Residual(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1)) for _ in range(4)]
model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(3 * 64, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "activations of both signs (Darknet)",
        """
class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)

def layer():
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.LeakyReLU(0.1))

model = nn.Sequential(*[Residual(layer(), layer()) for _ in range(4)], nn.Flatten(), nn.Linear(3 * 64, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a norm after the ReLU gives the branch both signs",
        """
class ConvNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x):
        return x + self.norm(F.relu(self.conv(x)))

model = nn.Sequential(*[ConvNorm() for _ in range(4)], nn.Flatten(), nn.Linear(3 * 64, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a decoder that ends in ReLU and is added to the encoder's features (LinkNet)",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)
        self.down = nn.ModuleList(nn.Conv2d(8, 8, 3, 2, 1) for _ in range(3))
        self.up = nn.ModuleList(nn.ConvTranspose2d(8, 8, 2, 2) for _ in range(3))

    def forward(self, x):
        features = [F.relu(self.stem(x))]
        for layer in self.down:
            features.append(F.relu(layer(features[-1])))
        x = features.pop()
        for layer in self.up:
            x = F.relu(layer(x)) + features.pop()
        return self.head(x)

model = Net()
""",
        "2x3x16x16",
    ),
    Example(
        "two rectified towers that are added",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(8, 16), nn.Linear(8, 16)
        self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.left(x)) + F.relu(self.right(x))
        return self.head(F.relu(self.hidden(x)))

model = Net()
""",
        "8x8",
    ),
)
