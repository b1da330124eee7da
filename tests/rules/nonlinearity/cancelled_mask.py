"""NC110: the examples beyond the few that its documentation shows."""

from __future__ import annotations

from netcheck.rules.base import Example

HEADS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.head = nn.Embedding(50, 16), nn.Linear(16, 48), nn.Linear(16, 4)

    def forward(self, tokens):
        n, length = tokens.shape
        h = self.embed(tokens)
        q, k, v = self.qkv(h).view(n, length, 3, 2, 8).permute(2, 0, 3, 1, 4)
        {lines}
        return self.head((h + y.transpose(1, 2).reshape(n, length, 16)).mean(1))

model = Net()
"""


def heads(*lines: str) -> str:
    """An attention of two heads, of which these lines make `y`."""
    return HEADS.replace("{lines}", "\n        ".join(lines))


MATH = "y = (q @ k.transpose(-1, -2) / 8 ** .5 + bias).softmax(-1) @ v"
FUSED = "y = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)"
BAD = (
    Example("added, scaled from truth values", heads("bias = (tokens == 0)[:, None, :, None] * -1e9", MATH), "tokens=long:4x7"),
    Example("in torch's own attention", heads("keep = (tokens != 0)[:, None, :, None]", FUSED), "tokens=long:4x7"),
)
GOOD = (
    Example("added along the keys", heads("bias = (tokens == 0)[:, None, None, :] * -1e9", MATH), "tokens=long:4x7"),
    Example(
        "in torch's own attention, along the keys", heads("keep = (tokens != 0)[:, None, None, :]", FUSED), "tokens=long:4x7"
    ),
    Example("one token alone", heads("bias = (tokens == 0)[:, None, :, None] * -1e9", MATH), "tokens=long:4x1"),
    Example(
        "the largest score is taken off",
        heads("s = q @ k.transpose(-1, -2)", "y = (s - s.amax(-1, keepdim=True)).softmax(-1) @ v"),
        "tokens=long:4x7",
    ),
)
