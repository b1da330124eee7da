"""NC402: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "dropout on both sides of the sum",
        """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(16), nn.Dropout(0.1)
        self.feed = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))

    def forward(self, x):
        return self.drop(x) + self.drop(self.feed(self.norm(x)))

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "a shortcut of convolution and norm even where the shape stays",
        """
class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, stride, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.norm1, self.norm2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, x):
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        out += self.shortcut(x)
        return F.relu(out)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8, 8, 1), Block(8, 8, 1), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "the identity is scaled, the branch is not",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = 0.5 * x + torch.tanh(layer(x))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "a norm of its own for the skip",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)

    def forward(self, x):
        return self.norm1(x).add(self.body(self.norm2(x)))

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "a 1×1 convolution, with functions and stochastic depth on the wrong side",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(6))

    def forward(self, x):
        x = self.stem(x)
        for first, second in zip(self.convs[::2], self.convs[1::2]):
            keep = (torch.rand(x.shape[0], 1, 1, 1) < 0.9) / 0.9
            x = torch.add(x * keep, second(F.relu(first(x))))
        return self.head(x.mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
)

GOOD = (
    Example(
        "what the steps of a loop give out, added up: each step goes on from the state, not from the sum",
        """
class Votes(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Linear(12, 16)
        self.steps = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16)) for _ in range(4))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        state = torch.tanh(self.start(x))
        votes = F.elu(state)
        for step in self.steps:
            state = step(state)
            votes = votes + F.elu(state)
        return self.head(votes)

model = Votes()
""",
        "8x12",
    ),
    Example(
        "post-norm Transformer layers",
        """
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
        self.norm1, self.norm2, self.drop = nn.LayerNorm(16), nn.LayerNorm(16), nn.Dropout(0.1)

    def forward(self, x):
        x = self.norm1(x + self.drop(self.attention(x, x, x)[0]))
        return self.norm2(x + self.drop(self.feed(x)))

model = nn.Sequential(nn.Linear(8, 16), Layer(), Layer(), nn.Linear(16, 4))
""",
        "2x5x8",
    ),
    Example(
        "a weighted average of both sides",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 4)
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = 0.7 * x + 0.3 * torch.tanh(layer(x))
        return self.head(x)

model = Net()
""",
        "8x8",
    ),
    Example(
        "branches that are merged into one convolution later (RepVGG)",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.pointwise = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.identity = nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.dense(x) + self.pointwise(x) + self.identity(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
        "4x3x8x8",
    ),
    Example(
        "a highway net computes how much to carry",
        """
class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.gate = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.relu(self.layer(x)) + (1 - gate) * x

model = nn.Sequential(nn.Linear(8, 16), Highway(), Highway(), nn.Linear(16, 4))
""",
        "8x8",
    ),
    Example(
        "dropout with a rate of zero, and a trained factor",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.drop, self.carry = nn.Dropout(0.0), nn.Parameter(torch.full((16,), 0.9))

    def forward(self, x):
        return self.drop(x) * self.carry + self.body(x)

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
        "8x8",
    ),
)
