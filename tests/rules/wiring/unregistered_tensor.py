"""NC906: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "parameters in a list",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = [nn.Parameter(torch.randn(16, 16) / 4) for _ in range(3)]
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for weight in self.weights:
            x = torch.relu(x @ weight)
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "a tensor with requires_grad is no parameter",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.ones(16, requires_grad=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(x * self.scale)

model = Net()
""",
        "8x16",
    ),
    Example(
        "position encodings, sliced",
        """
class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        angles = torch.arange(64).unsqueeze(1) / 10_000 ** (torch.arange(0, 16, 2) / 16)
        self.table = torch.cat([angles.sin(), angles.cos()], 1)

    def forward(self, x):
        return x + self.table[: x.shape[1]]

model = nn.Sequential(Positions(), nn.Linear(16, 4))
""",
        "8x6x16",
    ),
    Example(
        "a dict of parameters, in an object that is no module",
        """
class Table:
    def __init__(self):
        self.values = {"bias": nn.Parameter(torch.zeros(16))}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = Table(), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(x + self.table.values["bias"])

model = Net()
""",
        "8x16",
    ),
    Example(
        "computed from a parameter once, in the constructor",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(16))
        self.scale = self.raw.exp()
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(x * self.scale)

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "moved by as_tensor, as torchvision's Normalize does",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.head = torch.rand(8), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(x - torch.as_tensor(self.mean, dtype=x.dtype, device=x.device))

model = Net()
""",
        "4x8",
    ),
    Example(
        "nn.ParameterList and nn.ParameterDict",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(16, 16) / 4 for _ in range(3)])
        self.biases = nn.ParameterDict({"out": torch.zeros(16)})

    def forward(self, x):
        for weight in self.weights:
            x = torch.relu(x @ weight)
        return x + self.biases["out"]

model = Net()
""",
        "8x16",
    ),
    Example(
        "moved in forward",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x - self.mean.to(x)).mean((2, 3))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "a single number",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.tensor(16.0).sqrt()
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(x) / self.scale

model = Net()
""",
        "8x16",
    ),
    Example(
        "an order in which to take features",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.order = torch.randperm(16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(x[:, self.order])

model = Net()
""",
        "8x16",
    ),
    Example(
        "made in forward, or held and not used",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.example = torch.randn(8, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        ramp = torch.linspace(0, 1, x.shape[1], device=x.device)
        return self.head(x * ramp)

model = Net()
""",
        "8x16",
    ),
)
