"""NC112: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example


def stack(activation: str) -> str:
    """Two layers with this activation between them."""
    return f"model = nn.Sequential(nn.Linear(16, 32), {activation}, nn.Linear(32, 4))"


BAD = (
    Example("a slope that turns the sign", stack("nn.LeakyReLU(-0.1)"), "8x16"),
    Example("a PReLU that starts at 2", stack("nn.PReLU(init=2.0)"), "8x16"),
    Example("an ELU five times as steep", stack("nn.ELU(5.0)"), "8x16"),
    Example(
        "a function",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(F.leaky_relu(self.body(x), 1.5))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example("the alpha of SELU", stack("nn.ELU(1.6732632)"), "8x16"),
    Example("PyTorch's own PReLU", stack("nn.PReLU(32)"), "8x16"),
    Example("an absolute value", stack("nn.LeakyReLU(-1.0)"), "8x16"),
)
