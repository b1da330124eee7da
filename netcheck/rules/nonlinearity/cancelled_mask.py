"""NC110: a mask that a softmax cancels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions import softmax_dimension

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


def attention(mask: str) -> str:
    """A self-attention over tokens in which the padding is masked by this view of `tokens == 0`."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.query, self.key = nn.Embedding(50, 16, padding_idx=0), nn.Linear(16, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, tokens):
        h, padding = self.embed(tokens), tokens == 0
        scores = self.query(h) @ self.key(h).transpose(1, 2)  # (N, queries, keys)
        weights = scores.masked_fill({mask}, -1e4).softmax(-1)
        return self.head((weights @ h).mean(1))

model = Net()
"""


class CancelledMask(StaticRule):
    """A mask has one entry along the dimension that the softmax goes over: it moves all scores alike, and cancels.

    ## What it does
    Looks at what is filled in or added right before a softmax, and comes of truth values or whole numbers: a mask. Where its
    extent is 1 along the dimension of the softmax, which has more entries, it says so.

    ## Why is this bad?
    A softmax takes no notice of a number that is added to all of its entries: softmax(z + c) = softmax(z). A row that is filled
    with -10000 as a whole becomes a uniform one; filled with -inf, NaN. Padding is attended to as if there were no mask. Usually
    the mask stands along the queries, (N, 1, L, 1), and must stand along the keys, (N, 1, 1, L).

    ## When it is fine
    Never for the mask itself. Rows of queries are masked by what multiplies the result.

    ## Evidence
    How many entries the softmax goes over, and that the mask has one there.

    ## References
    - Vaswani et al. 2017, Attention Is All You Need, section 3.2.3: masking sets the illegal *keys* of a query to -inf.
    """

    code = "NC110"
    name = "cancelled-mask"
    severity = Severity.WARNING
    plain = "Its attention mask hides nothing: it moves all scores alike"
    BAD = (Example("along the queries", attention("padding[:, :, None]"), "tokens=long:4x7"),)
    GOOD = (Example("along the keys", attention("padding[:, None, :]"), "tokens=long:4x7"),)

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such masks."""
        from netcheck.trace.questions.masks import MULTIPLYING, extent, masks_before

        found = [
            (node, step, mask)
            for node in graph
            if node.kind is Kind.SOFTMAX and node.live and (softmax_dimension.size(node) or 0) > 1
            for step, mask in masks_before(node)
            if step.function not in MULTIPLYING and extent(mask, node) == 1
        ]
        found += [(node, node, mask) for node in graph if (mask := narrow_mask(node)) is not None]
        if not found:
            return
        softmax, _, mask = found[0]
        size = softmax_dimension.size(softmax) or keys(softmax)
        yield self.finding(
            f"the mask {mask.shape} has one entry along the dimension over which the softmax goes: it cancels",
            help="turn the mask so that it stands along the keys: mask[:, None, None, :] for scores (N, heads, queries, keys), "
            "mask[:, None, :] for (N, queries, keys)",
            evidence=Evidence(1, "entries", f"1 entry of the mask for {size} of the softmax", limit=2),
            at=list(dict.fromkeys(step for _, step, _ in found)),
            verdict=Verdict.CONFIRMED,
        )


def narrow_mask(node: Node) -> Node | None:
    """The mask of a torch attention on queries, keys and values, if it has one entry for all keys."""
    mask = node.argument(3, "attn_mask") if node.function == "scaled_dot_product_attention" and node.live else None
    shape = getattr(mask, "shape", None)
    narrow = shape and shape[-1] == 1 and max(shape) > 1 and keys(node) > 1
    return mask if narrow else None


def keys(attention: Node) -> int:
    """How many keys an attention on queries, keys and values has."""
    shape = getattr(attention.argument(1, "key"), "shape", None)
    return shape[-2] if shape and len(shape) > 1 else 0
