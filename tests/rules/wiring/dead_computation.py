"""NC904: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "the next line overwrites it",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        h = F.relu(self.fc2(x))
        return self.fc3(h)

model = Net()
""",
        "8x16",
    ),
    Example(
        "a method that returns what it does, and changes nothing",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.extra, self.head = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = self.body(x)
        h.add(self.extra(x))
        return self.head(h.relu())

model = Net()
""",
        "8x16",
    ),
    Example(
        "functional, with bare parameters",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Parameter(torch.randn(16, 16) / 4), nn.Parameter(torch.randn(4, 16) / 4)

    def forward(self, x):
        gate = torch.sigmoid(F.linear(x, self.one))
        return F.linear(x, self.two)

model = Net()
""",
        "8x16",
    ),
    Example(
        "the state of a recurrent layer instead of what follows it",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(16, 16, batch_first=True)
        self.project, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        y, h = self.rnn(x)
        y = self.project(y)
        return self.head(h[-1])

model = Net()
""",
        "8x6x16",
    ),
    Example(
        "position embeddings that are looked up and not added",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(50, 16), nn.Embedding(12, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, ids):
        x = self.embedding(ids)
        places = self.positions(torch.arange(ids.shape[1]))
        return self.head(x.mean(1))

model = Net()
""",
        "long:4x6",
    ),
)

GOOD = (
    Example(
        "a script that drops a layer by chance: what is not looked into may hand its input on",
        """
class Gate(nn.Module):
    def __init__(self, keep: float):
        super().__init__()
        self.keep = keep
        self.layer = nn.Linear(16, 16)

    def forward(self, x):
        if self.training and torch.rand(1).item() > self.keep:
            return x
        return torch.relu(self.layer(x))

model = nn.Sequential(*[torch.jit.script(Gate(0.0)) for _ in range(3)], nn.Linear(16, 4))
""",
        "8x16",
    ),
    Example(
        "one of two results of a layer",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])

model = Net()
""",
        "8x6x16",
    ),
    Example(
        "kept for a loss outside",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.auxiliary, self.head = nn.Linear(16, 16), nn.Linear(16, 4), nn.Linear(16, 4)
        self.losses = []

    def forward(self, x):
        h = F.relu(self.body(x))
        self.losses.append(self.auxiliary(h).square().mean())
        return self.head(h)

model = Net()
""",
        "8x16",
    ),
    Example(
        "returned inside of an object",
        """
from dataclasses import dataclass

@dataclass
class Output:
    logits: torch.Tensor
    auxiliary: torch.Tensor

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.auxiliary, self.head = nn.Linear(16, 16), nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, x):
        h = F.relu(self.body(x))
        return Output(self.head(h), self.auxiliary(h))

model = Net()
""",
        "8x16",
    ),
    Example(
        "written into a tensor in place",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.extra, self.head = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = self.body(x)
        h.add_(self.extra(x))
        return self.head(h.relu())

model = Net()
""",
        "8x16",
    ),
    Example(
        "taken by a hook",
        """
features = {}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.probe, self.head = nn.Linear(16, 16), nn.Linear(16, 2), nn.Linear(16, 4)
        self.probe.register_forward_hook(lambda module, args, result: features.update(probe=result))

    def forward(self, x):
        h = F.relu(self.body(x))
        self.probe(h)
        return self.head(h)

model = Net()
""",
        "8x16",
    ),
)
