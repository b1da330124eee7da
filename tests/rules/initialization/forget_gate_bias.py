"""NC505: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "nn.LSTMCell in a loop",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0])

model = Net()
""",
        "8x20x16",
    ),
    Example(
        "without biases",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 32, bias=False), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])

model = Net()
""",
        "20x8x16",
    ),
    Example(
        "the bias of another gate set to one",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 32), nn.Linear(32, 4)
        nn.init.ones_(self.lstm.bias_ih_l0[:32])

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])

model = Net()
""",
        "20x8x16",
    ),
    Example(
        "a cell written out, its gates in one matrix",
        """
class Cell(nn.Module):
    def __init__(self, n_in, n):
        super().__init__()
        self.gates = nn.Linear(n_in + n, 4 * n)

    def forward(self, x, h, c):
        i, f, g, o = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.start, self.head = Cell(16, 32), nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = c = self.start(x[:, 0])
        for step in x.unbind(1):
            h, c = self.cell(step, h, c)
        return self.head(h)

model = Net()
""",
        "8x10x16",
    ),
    Example(
        "a cell written out, a layer for each gate",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.forget, self.write, self.content, self.read = (nn.Linear(48, 32) for _ in range(4))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        h, c = x.new_zeros(len(x), 32), x.new_zeros(len(x), 32)
        for t in range(x.shape[1]):
            z = torch.cat((h, x[:, t]), dim=-1)
            f, i, o = self.forget(z).sigmoid(), self.write(z).sigmoid(), self.read(z).sigmoid()
            c = c * f + i * self.content(z).tanh()
            h = o * c.tanh()
        return self.head(h)

model = Net()
""",
        "8x10x16",
    ),
)

GOOD = (
    Example(
        "all layers and directions, half in each of the two biases",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 32, 2, bidirectional=True), nn.Linear(64, 4)
        for name, bias in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.constant_(bias[32:64], 0.5)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])

model = Net()
""",
        "20x8x16",
    ),
    Example(
        "a GRU has no forget gate of this kind",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.gru(x)[0][-1])

model = Net()
""",
        "20x8x16",
    ),
    Example(
        "a cell that adds one to the forget gate itself",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates, self.head = nn.Linear(48, 128), nn.Linear(32, 4)

    def forward(self, x):
        h, c = x.new_zeros(len(x), 32), x.new_zeros(len(x), 32)
        for t in range(x.shape[1]):
            i, f, g, o = self.gates(torch.cat((h, x[:, t]), 1)).split(32, 1)
            c = torch.sigmoid(f + 1.0) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.head(h)

model = Net()
""",
        "8x10x16",
    ),
    Example(
        "a written-out cell with an open forget gate",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates, self.head = nn.Linear(48, 128), nn.Linear(32, 4)
        nn.init.constant_(self.gates.bias[32:64], 1.0)

    def forward(self, x):
        h, c = x.new_zeros(len(x), 32), x.new_zeros(len(x), 32)
        for t in range(x.shape[1]):
            z = self.gates(torch.cat((h, x[:, t]), 1))
            i, f, g, o = z[:, :32], z[:, 32:64], z[:, 64:96], z[:, 96:]
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.head(h)

model = Net()
""",
        "8x10x16",
    ),
    Example(
        "gates of a highway network are none of an LSTM",
        """
class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.body = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.tanh(self.body(x)) + (1 - gate) * x

model = nn.Sequential(Highway(), Highway(), nn.Linear(32, 4))
""",
        "8x32",
    ),
)
