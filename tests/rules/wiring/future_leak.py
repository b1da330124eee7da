"""NC910: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example
from netcheck.rules.wiring.future_leak import TOKENS, decoder

HEADS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.head = nn.Embedding(50, 16), nn.Linear(16, 48), nn.Linear(16, 50)

    def forward(self, tokens):
        n, t = tokens.shape
        h = self.embed(tokens)
        q, k, v = self.qkv(h).view(n, t, 3, 2, 8).permute(2, 0, 3, 1, 4)
        {attention}
        h = h + y.transpose(1, 2).reshape(n, t, 16)
        {lines}
        return self.head(h)

model = Net()
"""
CAUSAL = "y = F.scaled_dot_product_attention(q, k, v, is_causal=True)"
FREE = "y = F.scaled_dot_product_attention(q, k, v)"
WRITTEN = "y = (q @ k.mT).masked_fill(torch.tril(torch.ones(t, t)) == 0, float('-inf')).softmax(-1) @ v"
SQUEEZE = "h = h * torch.sigmoid(h.mean(dim=1, keepdim=True))"
BAD = (
    Example("a gate of the whole sequence", HEADS.format(attention=CAUSAL, lines=SQUEEZE), TOKENS),
    Example("behind a mask that is written out", HEADS.format(attention=WRITTEN, lines=SQUEEZE), TOKENS),
    Example("a group normalization over the steps", decoder("h = self.norm(h.transpose(1, 2)).transpose(1, 2)"), TOKENS),
)
GOOD = (
    Example("no mask", HEADS.format(attention=FREE, lines=SQUEEZE), TOKENS),
    Example(
        "a gate of each step", HEADS.format(attention=CAUSAL, lines="h = h * torch.sigmoid(h.mean(-1, keepdim=True))"), TOKENS
    ),
    Example(
        "a convolution that is padded on the left",
        decoder("self.conv.padding = (0,)\n        h = h + self.conv(F.pad(h.transpose(1, 2), (2, 0))).transpose(1, 2)"),
        TOKENS,
    ),
    Example("as many steps as features", decoder("h = h / (h.norm(dim=-1, keepdim=True) + 1)"), "tokens=long:3x16"),
    Example("the last step alone", decoder("h = h[:, -1]"), TOKENS),
)
