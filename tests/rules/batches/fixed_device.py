"""NC708: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.batches.fixed_device import net

BAD = (
    Example("noise drawn where nobody said", net("h + torch.randn(2, 8)"), "2x8"),
    Example("a mask of the factory's making", net("h.masked_fill(torch.ones(8, 8).triu(1)[0] > 0, 0)"), "2x8"),
    Example("through other operations", net("torch.cat([h, torch.ones(2, 1).mul(3)], 1)"), "2x8"),
    Example(
        "a first hidden state",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 16, batch_first=True)

    def forward(self, x):
        return self.rnn(x, torch.zeros(1, x.shape[0], 16))[0]

model = Net()
""",
        "2x5x8",
    ),
)

GOOD = (
    Example(
        "the other way where the model is on a GPU",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        if next(self.parameters()).is_cuda:
            mask = torch.ones(8, 8).cuda().tril()
        else:
            mask = torch.ones(8, 8).tril()
        return self.layer(x) @ mask

model = Net()
""",
        "4x8",
    ),
    Example(
        "handed to a function that moves it",
        """
def variable(tensor):
    return tensor.cuda() if torch.cuda.is_available() else tensor

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.GRU(8, 8), nn.Linear(8, 4)

    def start(self, samples):
        hidden = torch.zeros(1, samples, 8)
        return variable(hidden)

    def forward(self, x):
        return self.head(self.layer(x, self.start(x.size(1)))[0])

model = Net()
""",
        "4x2x8",
    ),
    Example(
        "moved where the input is, on a way that is not taken here",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.spread = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        mean, spread = self.mean(x), F.softplus(self.spread(x))
        noise = torch.autograd.Variable(torch.randn(mean.size()), requires_grad=False)
        if mean.is_cuda:
            noise = noise.cuda()
        return mean.addcmul(spread, noise)

model = Net()
""",
        "4x8",
    ),
    Example(
        "a device that is worked out from the input's",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        where = f"cuda:{x.get_device()}" if x.is_cuda else "cpu"
        return self.layer(x) + torch.arange(8.0, device=where)

model = Net()
""",
        "4x8",
    ),
    Example("moved before use", net("h + torch.arange(8).to(h) + torch.ones(8).type_as(h)"), "2x8"),
    Example("a buffer", net("h * self.scale"), "2x8"),
    Example("an index", net("h[:, torch.arange(4)]"), "2x8"),
    Example("a number", net("h * torch.tensor(2.0)"), "2x8"),
)
