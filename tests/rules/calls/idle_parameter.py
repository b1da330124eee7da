"""NC916: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.calls.idle_parameter import gated

BLOCK = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))

model = nn.Sequential(Block(), Block(), nn.Linear(8, 4))
"""
CHOICE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.route, self.experts = nn.Linear(8, 32), nn.Parameter(torch.randn(32, 8, 4))

    def forward(self, x):
        weights, which = self.route(x).softmax(-1).topk(1)
        return weights * torch.einsum("ni,nio->no", x, self.experts[which[:, 0]])

model = Net()
"""
SAMPLED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.spread, self.head = nn.Linear(8, 6), nn.Linear(8, 6), nn.Linear(6, 4)

    def forward(self, x):
        spread = F.softplus(self.spread(x))
        return self.head(self.mean(x) + spread * torch.randn_like(spread))

model = Net()
"""
SQUEEZED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.squeeze, self.excite = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 1), nn.Conv2d(1, 8, 1)
        nn.init.constant_(self.squeeze.bias, -0.5)

    def forward(self, x):
        h = self.conv(x)
        gate = self.excite(F.relu(self.squeeze(0.01 * h.mean((2, 3), keepdim=True)))).sigmoid()
        return h * gate

model = Net()
"""
BAD = (Example("a mask of zeros", gated("torch.zeros(4)"), "8x8"),)
GOOD = (
    Example("behind a rectifier of one unit, whose bias is negative", SQUEEZED, "4x3x8x8"),
    Example("the spread of a sample, which noise multiplies", SAMPLED, "8x8"),
    Example("branches that start at zero", BLOCK, "8x8"),
    Example("experts that are chosen", CHOICE, "8x8"),
    Example("a frozen part", gated("0.0") + "model.gate.requires_grad_(False)\nmodel.share.requires_grad_(False)\n", "8x8"),
)
