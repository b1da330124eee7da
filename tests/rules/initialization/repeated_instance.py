"""NC508: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

STACK = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        block = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        {layers}
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        {run}
        return self.head(x)

model = Net()
"""
FUNCTIONAL = """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(16, 16) / 4), nn.Parameter(torch.zeros(16))
        self.back = nn.Parameter(torch.randn(16, 16) / 4)

    def forward(self, x):
        return torch.addmm(self.bias, F.relu(x), self.weight) @ self.back

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList([Own()] * 3), nn.Linear(16, 4)

    def forward(self, x):
        {run}
        return self.head(x)

model = Net()
"""
LIST = "self.layers = nn.ModuleList([block for _ in range(4)])"
BAD = (
    Example("blocks of a list", STACK.format(layers=LIST, run="for layer in self.layers: x = x + layer(x)"), "8x16"),
    Example(
        "an encoder layer, several times",
        "layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)\nmodel = nn.Sequential(*[layer] * 3, nn.Linear(16, 4))",
        "4x7x16",
    ),
    Example("weights that functions are given", FUNCTIONAL.format(run="for f in self.layers: x = x + f(x)"), "8x16"),
)
IN_TURN = "for f in self.layers: x = x + f(x)"
COPIES = "import copy; self.layers = nn.ModuleList(copy.deepcopy(block) for _ in range(4))"
GOOD = (
    Example("a loop over one", STACK.format(layers="self.layer = block", run="for _ in range(4): x = x + self.layer(x)"), "8x16"),
    Example("heads of maps", STACK.format(layers=LIST, run="x = sum(f(x * i) for i, f in enumerate(self.layers))"), "8x16"),
    Example("functions on several maps", FUNCTIONAL.format(run="x = sum(f(x * i) for i, f in enumerate(self.layers))"), "8x16"),
    Example("copies", STACK.format(layers=COPIES, run=IN_TURN), "8x16"),
    Example("frozen", STACK.format(layers=LIST + "; block.requires_grad_(False)", run=IN_TURN), "8x16"),
)
