"""NC204: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "half of twelve channels",
        """
model = nn.Sequential(
    nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Dropout2d(0.5), nn.Conv2d(12, 12, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(12 * 16, 4),
)
""",
        "4x3x8x8",
    ),
    Example(
        "between the layers of an LSTM",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = nn.LSTM(16, 32, num_layers=2, dropout=0.85, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])

model = Net()
""",
        "8x5x16",
    ),
    Example(
        "in a Transformer layer",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.8, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))

model = Net()
""",
        "8x5x16",
    ),
    Example(
        "in attention",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project, self.head = nn.Linear(16, 48), nn.Linear(16, 4)

    def forward(self, x):
        query, key, value = self.project(x).chunk(3, dim=-1)
        rate = 0.9 if self.training else 0.0
        return self.head(F.scaled_dot_product_attention(query, key, value, dropout_p=rate).mean(1))

model = Attention()
""",
        "8x5x16",
    ),
)

GOOD = (
    Example(
        "a tenth of few channels",
        """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(8, 8, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(8 * 16, 4),
)
""",
        "4x3x8x8",
    ),
    Example(
        "a moderate rate between the layers of an LSTM",
        """
model = nn.LSTM(16, 32, num_layers=2, dropout=0.3, batch_first=True)
""",
        "8x5x16",
    ),
    Example(
        "a function that is off",
        """
class Hidden(nn.Linear):
    def forward(self, x):
        return F.alpha_dropout(F.selu(super().forward(x)), p=0.9)

model = nn.Sequential(Hidden(16, 32), nn.Linear(32, 4))
""",
        "8x16",
    ),
    Example(
        "two thirds",
        """
model = nn.Sequential(
    nn.Dropout(0.2), nn.Linear(16, 512), nn.ReLU(), nn.Dropout(0.7), nn.Linear(512, 4)
)
""",
        "8x16",
    ),
)
