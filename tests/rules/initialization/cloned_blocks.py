"""NC504: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a seed set in the constructor of a block",
        """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        return x + F.relu(self.norm(self.conv(x)))

model = nn.Sequential(Block(), Block(), Block(), nn.Flatten(), nn.Linear(512, 4))
""",
        "4x8x8x8",
    ),
    Example(
        "parameters that start as clones",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        start = torch.randn(32, 32) / 32 ** 0.5
        self.weights = nn.ParameterList(nn.Parameter(start.clone()) for _ in range(3))

    def forward(self, x):
        for weight in self.weights:
            x = torch.relu(x @ weight)
        return x

model = Net()
""",
        "8x32",
    ),
    Example(
        "branches side by side that load one state",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.LSTM(16, 8, batch_first=True), nn.LSTM(16, 8, batch_first=True)
        self.right.load_state_dict(self.left.state_dict())
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head((self.left(x)[0] + self.right(x)[0])[:, -1])

model = Net()
""",
        "8x12x16",
    ),
    Example(
        "attention layers that are copies",
        """
import copy

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        first = nn.MultiheadAttention(32, 4, batch_first=True)
        self.layers = nn.ModuleList([first, copy.deepcopy(first)])

    def forward(self, x):
        for attention in self.layers:
            x = x + attention(x, x, x)[0]
        return x

model = Net()
""",
        "8x12x32",
    ),
)

GOOD = (
    Example(
        "copies that are drawn again",
        """
layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
model = nn.TransformerEncoder(layer, 3)
for parameter in model.parameters():
    if parameter.dim() > 1:
        nn.init.xavier_uniform_(parameter)
""",
        "8x12x32",
    ),
    Example(
        "a frozen target network",
        """
import copy

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def forward(self, x):
        return self.online(x), self.target(x)

model = Net()
""",
        "8x32",
    ),
    Example(
        "layers that all start as the identity",
        """
model = nn.Sequential(*[nn.Linear(32, 32) for _ in range(4)])
for layer in model:
    nn.init.eye_(layer.weight)
""",
        "8x32",
    ),
    Example(
        "tied weights: two layers, one tensor",
        """
model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
model[2].weight = model[0].weight
""",
        "8x32",
    ),
)
