"""NC910: under a causal mask, an operation that hands later steps to earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_SUMMARIES = frozenset(("mean", "std", "var", "sum", "amax", "amin", "max", "min", "std_mean", "var_mean", "norm", "vector_norm"))

TOKENS = "tokens=long:3x7"


def decoder(lines: str) -> str:
    """A causal self-attention over tokens, with these lines between it and the head."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 16), nn.Linear(16, 50)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.conv, self.norm = nn.Conv1d(16, 16, 3, padding=1), nn.GroupNorm(4, 16)

    def forward(self, tokens):
        t = tokens.size(1)
        h, later = self.embed(tokens), torch.ones(t, t, dtype=torch.bool).triu(1)
        h = h + self.attention(h, h, h, attn_mask=later, need_weights=False)[0]  # (N, T, 16)
        {lines}
        return self.head(h)

model = Net()
"""


class FutureLeak(StaticRule):
    """Behind attention with a causal mask, an operation hands later steps to earlier ones: the mask is undone.

    ## What it does
    Where attention has a triangular mask or `is_causal`, looks behind it for what sums the steps up and gives the sum back to
    them (a mean, a deviation, a normalization that is written out), for group and instance normalizations over the steps, for
    convolutions whose window reaches ahead, and for bidirectional layers.

    ## Why is this bad?
    In training each step is asked for the next one, and finds traces of it in its own input: the loss is better than what the
    model can do, and what it generates step by step, where there are no later steps, is worse. A mean and a deviation over
    dim=1 of (N, T, C), where a layer normalization over dim=-1 was meant, are enough.

    ## When it is fine
    Where the mask is not for the sake of generating: then it need not be there.

    ## Evidence
    How many operations there are, and the dimension of the steps that they go over.

    ## References
    - Vaswani et al. 2017, Attention Is All You Need, section 3.2.3: leftward information flow must be prevented.
    """

    code = "NC910"
    name = "future-leak"
    severity = Severity.WARNING
    plain = "It sees the future: steps that should be hidden reach earlier ones"
    BAD = (
        Example("a normalization over the steps", decoder("h = (h - h.mean(1, keepdim=True)) / h.std(1, keepdim=True)"), TOKENS),
        Example("a window that reaches ahead", decoder("h = h + self.conv(h.transpose(1, 2)).transpose(1, 2)"), TOKENS),
    )
    GOOD = (
        Example(
            "a normalization over the features", decoder("h = (h - h.mean(2, keepdim=True)) / h.std(2, keepdim=True)"), TOKENS
        ),
        Example("a mean over the steps that classifies them all", decoder("h = h.mean(1)"), TOKENS),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such operations."""
        from netcheck.trace.questions.causal import causal_attentions
        from netcheck.trace.questions.primes import at_primes

        if not causal_attentions(graph) or not list(leaks(graph)):
            return
        seen = at_primes(graph) or graph  # on which no other size is that of the steps
        found = [(graph.nodes[node.index], dim) for node, dim in leaks(seen)]
        if not found:
            return
        node, dim = found[0]
        many = f", the first of {len(found)} operations that do" if len(found) > 1 else ""
        yield self.finding(
            f"behind a causal mask {node.target} goes over the steps (dimension {dim} of {node.inputs[0].shape}): each step gets "
            f"something of the later ones{many}",
            help="normalize and sum up over the features (dim=-1, nn.LayerNorm); pad a convolution on the left alone: "
            "F.pad(x, (kernel - 1, 0)); let a recurrent layer run in one direction",
            evidence=Evidence(len(found), "operations", f"{(node.inputs[0].shape or (0,))[dim]} steps in one result", limit=0),
            at=[node for node, _ in found],
            verdict=Verdict.CONFIRMED,
        )


def leaks(graph: ModelGraph) -> Iterator[tuple[Node, int]]:
    """What hands later steps to earlier ones behind a causal attention: (operation, dimension of the steps in its input)."""
    from netcheck.trace.questions.causal import causal_attentions

    for attention, steps in causal_attentions(graph)[:1]:
        for node in after(attention):
            source = node.inputs[0].shape or ()
            if source.count(steps) != 1 or node.inputs[0].index < attention.index:
                continue
            dim = source.index(steps)
            if mixes(node, dim, steps):
                yield node, dim


def after(node: Node) -> list[Node]:
    """All that is made of a value, in the order of forward."""
    pending = [node]
    found: set[Node] = set()
    while pending:
        new = [user for user in pending.pop().users if user not in found]
        pending += new
        found.update(new)
    return sorted((each for each in found if each.inputs), key=lambda each: each.index)


def mixes(node: Node, dim: int, steps: int) -> bool:
    """Whether an operation gives each step something of all others, or of the next ones."""
    shape, rank = node.shape or (), len(node.inputs[0].shape or ())
    if node.function in _SUMMARIES:
        return dim in dimensions(node, rank) and any(steps in (user.shape or ()) for user in after(node))
    if node.kind is Kind.NORM and node.detail in ("group", "instance") and node.module is not None:
        return rank == 3 and dim == 2
    if node.kind is Kind.CONV and node.detail == "" and node.module is not None:
        kernel = getattr(node.module, "kernel_size", (1,))
        return rank == 3 and dim == 2 and shape[-1] == steps and len(kernel) == 1 and kernel[0] > 1
    if node.kind is Kind.RECURRENT and getattr(node.module, "bidirectional", False):
        return rank == 3 and dim == int(bool(getattr(node.module, "batch_first", False)))
    return False


def dimensions(node: Node, rank: int) -> set[int]:
    """Over which dimensions a mean or the like goes."""
    dim = node.argument(2 if node.function in ("norm", "vector_norm") else 1, "dim")
    dims = dim if isinstance(dim, tuple | list) else (dim,)
    return {each % rank for each in dims if isinstance(each, int) and not isinstance(each, bool)}
