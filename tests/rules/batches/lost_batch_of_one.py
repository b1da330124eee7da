"""NC712: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

LOGIT = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, {outputs})

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1]).squeeze({dim})

model = Net()
"""
BAD = (Example("a logit of each sample", LOGIT.format(outputs=1, dim=""), "4x7x5"),)
GOOD = (
    Example("the dimension is named", LOGIT.format(outputs=1, dim=-1), "4x7x5"),
    Example(
        "nothing tells that there is a batch",
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(5, 1)\n\n"
        "    def forward(self, x):\n        return self.layer(x).squeeze()\n\nmodel = Net()\n",
        "4x5",
    ),
)
