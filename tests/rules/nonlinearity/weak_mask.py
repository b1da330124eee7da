"""NC113: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example


def heads(lines: str) -> str:
    """A causal attention of two heads, of whose scores (N, heads, T, T) this line makes `weights`."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.head = nn.Embedding(50, 16), nn.Linear(16, 48), nn.Linear(16, 50)

    def forward(self, tokens):
        n, t = tokens.shape
        h = self.embed(tokens)
        q, k, v = self.qkv(h).view(n, t, 3, 2, 8).permute(2, 0, 3, 1, 4)
        keep = torch.tril(torch.ones(t, t))
        scores = q @ k.transpose(-1, -2) / 8 ** .5
        {lines}
        return self.head(h + (weights @ v).transpose(1, 2).reshape(n, t, 16))

model = Net()
"""


TOKENS = "tokens=long:3x7"
BAD = (
    Example("-1e-9 for -1e9", heads("weights = scores.masked_fill(keep == 0, -1e-9).softmax(-1)"), TOKENS),
    Example("zero, by torch.where", heads("weights = torch.where(keep > 0, scores, torch.tensor(0.0)).softmax(-1)"), TOKENS),
    Example("times a triangle", heads("weights = F.softmax(scores * keep, dim=-1)"), TOKENS),
    Example("added as 0 and 1", heads("weights = (scores + keep).softmax(-1)"), TOKENS),
    Example("added as truth values", heads("weights = F.softmax(scores + (keep > 0)[None].float(), dim=-1)"), TOKENS),
    Example("filled with a large positive number", heads("weights = scores.masked_fill(keep == 0, 1e9).softmax(-1)"), TOKENS),
)
GOOD = (
    Example("-1e9", heads("weights = scores.masked_fill(keep == 0, -1e9).softmax(-1)"), TOKENS),
    Example("added", heads("weights = (scores + (1 - keep) * -10000).softmax(-1)"), TOKENS),
    Example("a bias of zeros and -1e9", heads("weights = (scores + torch.where(keep > 0, 0.0, -1e9)).softmax(-1)"), TOKENS),
    Example("0 and 1, then -1e9", heads("weights = (scores + keep).masked_fill(keep == 0, -1e9).softmax(-1)"), TOKENS),
    Example("zeros, then -1e9", heads("weights = (scores * keep).masked_fill(keep == 0, -1e9).softmax(-1)"), TOKENS),
    Example("masked again", heads("w = (scores * keep).softmax(-1) * keep; weights = w / w.sum(-1, True)"), TOKENS),
    Example("a scale", heads("weights = (scores * torch.full((t, t), 0.5)).softmax(-1) * keep"), TOKENS),
    Example("whole queries", heads("weights = scores.masked_fill(torch.arange(t)[:, None] == 0, 0.0).softmax(-1)"), TOKENS),
)  # fmt: skip
