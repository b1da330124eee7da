"""NC611: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example


def model(forward: str, std: float) -> str:
    """A net whose head starts at a standard deviation."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 64), nn.Linear(64, 10)
        nn.init.normal_(self.head.weight, std={std})

    def forward(self, x):
        h = self.head(F.relu(self.body(x)))
        return {forward}

model = Net()
"""


BAD = (Example("log-probabilities", model("h.log_softmax(-1)", 4.0), "32x16"),)

GOOD = (
    Example("log-probabilities of small logits", model("h.log_softmax(-1)", 0.1), "32x16"),
    Example("an angle", model("h.sin()", 4.0), "32x16"),
)
