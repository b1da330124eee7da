"""NC202: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "nn.Dropout built in forward",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = nn.Dropout(p=0.3)(x)
        return self.fc2(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "training=True written down",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return self.fc2(nn.functional.dropout(x, 0.2, training=True))

model = Net()
""",
        "8x16",
    ),
    Example(
        "dropout modules in a plain list",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.drops = [nn.Dropout(0.1) for _ in range(3)]

    def forward(self, x):
        for layer, drop in zip(self.layers, self.drops):
            x = drop(F.relu(layer(x)))
        return x

model = Net()
""",
        "8x16",
    ),
    Example(
        "attention with a constant rate",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project, self.head = nn.Linear(16, 48), nn.Linear(16, 4)

    def forward(self, x):
        query, key, value = self.project(x).chunk(3, dim=-1)
        x = F.scaled_dot_product_attention(query, key, value, dropout_p=0.1)
        return self.head(x.mean(1))

model = Attention()
""",
        "8x5x16",
    ),
    Example(
        "a mask drawn in every mode",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = x * (torch.rand_like(x) > 0.25) / 0.75
        return self.fc2(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "a mask that chooses between the signal and zeros",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        return self.fc2(torch.where(torch.rand_like(x) > 0.25, x / 0.75, torch.zeros_like(x)))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "attention, told the mode",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project, self.head, self.p = nn.Linear(16, 48), nn.Linear(16, 4), 0.1

    def forward(self, x):
        query, key, value = self.project(x).chunk(3, dim=-1)
        rate = self.p if self.training else 0.0
        x = F.scaled_dot_product_attention(query, key, value, dropout_p=rate)
        return self.head(x.mean(1))

model = Attention()
""",
        "8x5x16",
    ),
    Example(
        "conditions that give way to a trained one at random, as classifier-free guidance has them",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.nothing = nn.Embedding(10, 32), nn.Parameter(torch.randn(32))
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x, p=0.5):
        condition = self.table(torch.arange(len(x)))
        kept = torch.rand(len(x), 1) > p
        return self.fc2(F.relu(self.fc1(x)) + torch.where(kept, condition, self.nothing.expand(len(x), -1)))

model = Net()
""",
        "8x16",
    ),
    Example(
        "a mask drawn in training only",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        if self.training:
            x = x * torch.bernoulli(torch.full_like(x, 0.9)) / 0.9
        return self.fc2(x)

model = Net()
""",
        "8x16",
    ),
    Example(
        "noise that is the model's own: a variational autoencoder",
        """
class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(16, 8), nn.Linear(4, 16)

    def forward(self, x):
        mean, spread = self.encode(x).chunk(2, dim=1)
        return self.decode(mean + torch.exp(0.5 * spread) * torch.randn_like(spread))

model = Autoencoder()
""",
        "8x16",
    ),
    Example(
        "dropout between the layers of an LSTM, and in a Transformer",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = nn.LSTM(16, 32, num_layers=2, dropout=0.3, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.layer(self.recurrent(x)[0]).mean(1))

model = Net()
""",
        "8x5x16",
    ),
)
