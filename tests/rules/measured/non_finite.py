"""NC609: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

BAD = (
    Example(
        "a square root of what may be negative, chosen away in the forward pass alone",
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = self.layer(x)
        return self.head(torch.where(x > 0, torch.sqrt(x), 0.0))

model = Net()
""",
        "8x16",
    ),
)

GOOD = (
    Example(
        "a mask of minus infinity before a softmax",
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.head = nn.Linear(16, 48), nn.Linear(16, 4)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        scores = (q @ k.transpose(1, 2) / 4).masked_fill(mask, float("-inf"))
        return self.head(scores.softmax(-1) @ v)

model = Attention()
""",
        "8x5x16",
    ),
)
