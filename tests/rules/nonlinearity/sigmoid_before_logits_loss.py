"""NC111: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, CLASSES))
        self.loss = LOSS

    def forward(self, x):
        return RESULT

model = Net()
"""


def net(result: str, loss: str = "None", classes: int = 1) -> str:
    """A model whose forward computes its loss."""
    return NET.replace("RESULT", result).replace("LOSS", loss).replace("CLASSES", str(classes))


BAD = (
    Example(
        "a loss in forward that takes logits",
        net("F.binary_cross_entropy_with_logits(torch.sigmoid(self.net(x)).squeeze(1), torch.ones(8))"),
        "8x16",
    ),
    Example("the same as a module", net("self.loss(self.net(x).sigmoid(), torch.ones(8, 1))", "nn.BCEWithLogitsLoss()"), "8x16"),
    Example("logits for a loss of probabilities", net("F.binary_cross_entropy(self.net(x), torch.ones(8, 1))"), "8x16"),
    Example("probabilities for nll_loss", net("F.nll_loss(self.net(x).softmax(1), torch.arange(8))", classes=8), "8x16"),
    Example(
        "a sigmoid that is returned by a method of its own, and the loss as a function of the file",
        net("torch.sigmoid(self.net(x)).flatten()")
        + "\ndef step(x, y):\n    return F.binary_cross_entropy_with_logits(model(x), y)\n",
        "8x16",
    ),
)
GOOD = (
    Example(
        "each loss what it takes",
        net(
            "F.binary_cross_entropy_with_logits(self.net(x), torch.ones(8, 8)) + F.nll_loss(F.log_softmax(self.net(x), 1), "
            "torch.arange(8)) + F.binary_cross_entropy(self.net(x).sigmoid(), torch.ones(8, 8))",
            classes=8,
        ),
        "8x16",
    ),
    Example(
        "a gate inside, and both losses in the file",
        net("self.net(x) * torch.sigmoid(self.net(x)) + torch.sigmoid(self.net(x))")
        + "\nlosses = nn.BCELoss(), nn.BCEWithLogitsLoss()\n",
        "8x16",
    ),
    Example("a tanh", net("torch.tanh(self.net(x))") + "\ncriterion = nn.BCEWithLogitsLoss()\n", "8x16"),
)
