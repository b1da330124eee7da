"""NC908: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a GRU with batch_first whose last step is taken from dimension 0",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(5, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x):
        return self.head(F.relu(self.gru(x)[0])[-1])

model = Net()
""",
        "4x7x5",
    ),
    Example(
        "a transformer without batch_first, averaged over dimension 1",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(40, 16), nn.Linear(16, 3)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32), 2)

    def forward(self, ids):
        return self.head(self.encoder(self.embed(ids)).mean(dim=1))

model = Net()
""",
        "long:4x7",
    ),
    Example(
        "convolutions over time, then a recurrence over the batch",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.rnn, self.head = nn.Conv1d(3, 16, 5), nn.RNN(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        steps = F.relu(self.conv(x)).permute(0, 2, 1)
        return self.head(self.rnn(steps)[0])

model = Net()
""",
        "4x3x20",
    ),
    Example(
        "attention over the samples instead of the patches",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.attention, self.head = nn.MultiheadAttention(16, 2), nn.Linear(16 * 16, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head((x + self.attention(x, x, x)[0]).flatten(1))

model = Net()
""",
        "4x3x16x16",
    ),
    Example(
        "the class token of a transformer without batch_first is looked for in dimension 1",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.head = nn.Parameter(torch.zeros(1, 1, 16)), nn.Linear(16, 3)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32) for _ in range(2))

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.select(1, 0))

model = Net()
""",
        "4x7x16",
    ),
)

GOOD = (
    Example(
        "steps first, and the last one from dimension 0",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])

model = Net()
""",
        "7x4x5",
    ),
    Example(
        "the columns of a text line's features as steps",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.lstm = nn.Conv2d(1, 16, 3, padding=1), nn.LSTM(16, 16, bidirectional=True)
        self.head = nn.Linear(32, 11)

    def forward(self, x):
        columns = F.relu(self.conv(x)).mean(2).permute(2, 0, 1)  # (W, N, C)
        return self.head(self.lstm(columns)[0])

model = Net()
""",
        "4x1x8x20",
    ),
    Example(
        "transposed for the transformer, and back",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(40, 16), nn.Linear(16, 3)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32), 2)

    def forward(self, ids):
        x = self.encoder(self.embed(ids).transpose(0, 1)).transpose(0, 1)
        return self.head(x.mean(dim=1))

model = Net()
""",
        "long:4x7",
    ),
    Example(
        "the last hidden state",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(5, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x):
        _, last = self.gru(x)
        return self.head(last[-1])

model = Net()
""",
        "4x7x5",
    ),
    Example(
        "single steps are put together again: of a batch of one, dimension 1 holds nothing else",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.lstm(x.unsqueeze(1))[0][:, 0])

model = Net()
""",
        "7x5",
    ),
    Example(
        "attention pooling with a learned query over steps-first tokens",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.attention = nn.Conv2d(3, 16, 4, 4), nn.MultiheadAttention(16, 2)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.stem(x).flatten(2).permute(2, 0, 1)
        x = torch.cat([x.mean(0, keepdim=True), x])
        return self.head(self.attention(x[:1], x, x)[0].squeeze(0))

model = Net()
""",
        "4x3x16x16",
    ),
)
