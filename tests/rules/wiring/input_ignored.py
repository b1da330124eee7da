"""NC903: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "used on a way alone that a setting closes: information",
        """
class Net(nn.Module):
    def __init__(self, gated=False):
        super().__init__()
        self.gated, self.body, self.gate, self.head = gated, nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x, context):
        x = F.relu(self.body(x))
        if not self.gated:
            return self.head(x)
        return self.head(x * torch.sigmoid(self.gate(context)))

model = Net()
""",
        "x=8x16 context=8x16",
    ),
    Example(
        "overwritten before it is used",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(32, 4)

    def forward(self, x, y):
        y = self.left(x)
        return self.head(torch.cat([self.right(x), y], 1))

model = Net()
""",
        "x=8x16 y=8x16",
    ),
    Example(
        "used, and the result dropped",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.condition, self.head = nn.Linear(16, 16), nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x, label):
        h = self.body(x)
        torch.add(h, self.condition(label))
        return self.head(F.relu(h))

model = Net()
""",
        "x=8x16 label=8x8",
    ),
    Example(
        "only its likeness is taken",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, noise):
        noise = torch.zeros_like(noise)
        return self.head(x + noise)

model = Net()
""",
        "x=8x16 noise=8x16",
    ),
    Example(
        "a key of a dictionary of inputs, given by name",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 16), nn.Linear(16, 4)

    def forward(self, ids, **options):
        return self.head(self.embedding(ids).mean(1))

model = Net()
""",
        "ids=long:4x6 attention_mask=long:4x6",
    ),
    Example(
        "the image does not reach the head",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.table, self.head = nn.Conv2d(3, 8, 3), nn.Embedding(5, 8), nn.Linear(8, 4)

    def forward(self, image, label):
        features = F.relu(self.conv(image)).mean((2, 3))
        features = self.table(label)
        return self.head(features)

model = Net()
""",
        "image=4x3x8x8 label=long:4",
    ),
)

GOOD = (
    Example(
        "lengths that decide how much is read",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, lengths):
        return self.head(x[:, : int(lengths.max()) + 1].mean(1))

model = Net()
""",
        "x=8x6x16 lengths=long:8",
    ),
    Example(
        "a name that says so",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, _context):
        return self.head(x)

model = Net()
""",
        "x=8x16 _context=8x16",
    ),
    Example(
        "keys that go into a queue of the model",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 16)
        self.register_buffer("queue", torch.randn(32, 16))

    def forward(self, x, keys):
        logits = self.head(x) @ self.queue.T
        self.queue[:8] = keys
        return logits

model = Net()
""",
        "x=8x16 keys=8x16",
    ),
    Example(
        "targets of a loss that is kept for later",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, target):
        logits = self.head(x)
        self.loss = F.mse_loss(logits, target)
        return logits

model = Net()
""",
        "x=8x16 target=8x4",
    ),
    Example(
        "written into the other input",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x, y):
        x = x.clone()
        x[:, :8] = y
        return self.head(x)

model = Net()
""",
        "x=8x16 y=8x8",
    ),
)
