"""NC103: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "convolutions with only a batch normalization between",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
)
""",
        "4x3x8x8",
    ),
    Example(
        "a 2d convolution, then a 1d convolution",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.spectral = nn.Conv2d(1, 8, (5, 3), padding=(0, 1))
        self.temporal = nn.Conv1d(8 * 16, 64, 3, padding=1)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = self.spectral(x)
        x = x.view(x.size(0), -1, x.size(3))
        return self.head(F.relu(self.temporal(x)).mean(2))

model = Net()
""",
        "4x1x20x32",
    ),
    Example(
        "matrices written out, with dropout between",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(16, 32) * 0.2)
        self.second = nn.Parameter(torch.randn(32, 8) * 0.2)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.dropout(x @ self.first, 0.1, self.training)
        return self.head(torch.relu(x @ self.second))

model = Net()
""",
        "8x16",
    ),
    Example(
        "a convolution flattened into the classifier",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3)
        self.fc = nn.Linear(16 * 2 * 2, 10)

    def forward(self, x):
        x = F.avg_pool2d(self.conv2(F.relu(self.conv1(x))), 2)
        return self.fc(torch.flatten(x, 1))

model = Net()
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "filters of one channel between the stretches of a learned upsampling",
        """
class Stretched(nn.Module):
    def __init__(self):
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv2d(1, 1, (1, 5), padding=(0, 2), bias=False) for _ in range(3))
        self.enter, self.head = nn.Conv1d(8, 8, 3), nn.Conv1d(8, 4, 3)

    def forward(self, x):
        x = self.enter(x)[:, None]
        for layer in self.filters:
            x = layer(F.interpolate(x, scale_factor=(1, 2)))
        return self.head(F.relu(x[:, 0]))

model = Stretched()
""",
        "4x8x12",
    ),
    Example(
        "learned upsampling of scores",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 5, 1), nn.ConvTranspose2d(5, 5, 16, stride=8, padding=4)
)
""",
        "2x3x16x16",
    ),
    Example(
        "learned upsampling of what several layers read",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.upsample = nn.ConvTranspose1d(16, 16, 8, stride=4)
        self.one, self.two, self.head = nn.Conv1d(16, 32, 1), nn.Conv1d(16, 32, 1), nn.Conv1d(32, 4, 1)

    def forward(self, x):
        x = self.upsample(x)
        return self.head(torch.tanh(self.one(x)) * torch.sigmoid(self.two(x)))

model = Net()
""",
        "4x16x8",
    ),
    Example(
        "normalized positions, projected and averaged for the head",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.project = nn.Conv2d(3, 16, 3), nn.GroupNorm(1, 16), nn.Conv2d(16, 32, 1)
        self.head = nn.Linear(32, 100)

    def forward(self, x):
        return self.head(self.project(self.norm(F.gelu(self.stem(x)))).mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "a depthwise separable convolution",
        """
model = nn.Sequential(
    nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.Conv2d(16, 32, 1), nn.ReLU(),
    nn.Conv2d(32, 4, 1),
)
""",
        "4x16x8x8",
    ),
    Example(
        "a spatially separable convolution",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, (7, 1), padding=(3, 0)), nn.Conv2d(16, 16, (1, 7), padding=(0, 3)), nn.ReLU(),
    nn.Conv2d(16, 4, 1),
)
""",
        "4x3x8x8",
    ),
    Example(
        "tokens are mixed first, then features",
        """
class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.features = nn.Linear(12, 12), nn.Linear(32, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = self.tokens(x.transpose(1, 2)).transpose(1, 2)
        return self.head(F.gelu(self.features(x)).mean(1))

model = Mixer()
""",
        "4x12x32",
    ),
    Example(
        "projections of attention, its output, and a residual sum",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(32, 32)
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = self.embed(x)
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 32**0.5, dim=-1)
        x = x + self.out(weights @ self.value(x))
        return self.head(x.mean(1))

model = Attention()
""",
        "4x12x32",
    ),
    Example(
        "upscaling by a pixel shuffle",
        """
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 64, 3, padding=1), nn.PixelShuffle(2),
    nn.Conv2d(16, 3, 3, padding=1),
)
""",
        "2x3x8x8",
    ),
)
