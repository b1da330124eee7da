"""NC901: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "heads in a dict, in a submodule",
        """
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = {"mean": nn.Linear(16, 4), "scale": nn.Linear(16, 4)}

    def forward(self, x):
        return {name: head(x) for name, head in self.heads.items()}

model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), Heads())
""",
        "8x16",
    ),
    Example(
        "an object that is no module",
        """
class Encoder:
    def __init__(self):
        self.conv = nn.Conv2d(3, 8, 3)

    def run(self, x):
        return F.relu(self.conv(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.encoder.run(x).mean((2, 3)))

model = Net()
""",
        "4x3x8x8",
    ),
    Example(
        "built and registered by the first call (information)",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), None

    def forward(self, x):
        h = F.relu(self.body(x))
        if self.head is None:
            self.head = nn.Linear(h.shape[1], 4)
        return self.head(h)

model = Net()
""",
        "8x16",
    ),
    Example(
        "built in forward",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(16, 16)

    def forward(self, x):
        return nn.Linear(16, 4)(F.relu(self.body(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "pairs of a layer and a norm",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = []
        for _ in range(2):
            self.blocks.append((nn.Linear(16, 16), nn.BatchNorm1d(16)))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for linear, norm in self.blocks:
            x = torch.relu(norm(linear(x)))
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "dropout in a list: eval() does not switch it off",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
        self.extras = [nn.ReLU(), nn.Dropout(0.5)]

    def forward(self, x):
        x = self.body(x)
        for extra in self.extras:
            x = extra(x)
        return self.head(x)

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "a list that is unpacked into nn.Sequential",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)]
        self.body = nn.Sequential(*self.layers)

    def forward(self, x):
        return self.body(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "registered by name, and listed for the loop",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = []
        for i in range(3):
            layer = nn.Linear(16, 16)
            self.add_module(f"layer{i}", layer)
            self.layers.append(layer)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return x

model = Net()
""",
        "8x16",
    ),
    Example(
        "activations in a dict",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.activations = {"relu": nn.ReLU(), "tanh": nn.Tanh()}
        self.body, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.activations["relu"](self.body(x)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "a reference back to the parent, in a list so that it is not registered",
        """
class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = [parent]
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.parent[0].body(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(16, 16)
        self.child = Child(self)

    def forward(self, x):
        return self.child(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "modules without weights that forward builds",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x):
        x = nn.AdaptiveAvgPool2d(1)(nn.ReLU()(self.conv(x)))
        return self.head(nn.Flatten()(x))

model = Net()
""",
        "4x3x8x8",
    ),
)
