"""NC114: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example


def returning(result: str) -> str:
    """A net that returns this of its logits `h` (N, 4)."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(16, 32), nn.Linear(32, 4)
        self.softmax, self.sigmoid = nn.Softmax(dim=1), nn.Sigmoid()

    def forward(self, x):
        h = self.head(torch.relu(self.hidden(x)))
        return {result}

model = Net()
"""


BAD = (
    Example("of a module", returning("self.softmax(h).log()"), "8x16"),
    Example("of a sigmoid", returning("self.sigmoid(h).log()"), "8x16"),
    Example("of some probabilities", returning("h.softmax(1)[:, :2].log()"), "8x16"),
    Example("of those that were picked", returning("h.softmax(1).gather(1, h.argmax(1, True)).log().squeeze(1)"), "8x16"),
    Example("in an entropy", returning("-(h.softmax(1) * torch.log2(h.softmax(1))).sum(1)"), "8x16"),
)
GOOD = (
    Example("logsigmoid", returning("F.logsigmoid(h)"), "8x16"),
    Example("with something added", returning("torch.log(h.softmax(1) + 1e-8)"), "8x16"),
    Example("cut off below", returning("h.sigmoid().clamp(min=1e-6).log()"), "8x16"),
    Example("of their mean", returning("h.softmax(1).mean(1, keepdim=True).log()"), "8x16"),
)
