"""NC405: a skip that reaches its sum twice."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class SkipAddedTwice(StaticRule):
    """The block's input reaches the sum twice: the block computes 2x + f(x), and the signal doubles from block to block.

    ## What it does
    Takes sums of sums apart and finds a value that is among the terms more than once, beside a branch. A residual wrapper
    around a block that has a skip of its own does this, also where a rectifier or dropout stands between the two sums.

    ## Why is this bad?
    Each block multiplies the stream by two, so after 20 of them the input is a million times larger than what any branch
    adds: the branches no longer matter. With a norm after each sum the growth is taken back, but the branch still counts
    half of what was meant.

    ## When it is fine
    One long skip around several residual blocks, as in super-resolution nets: the input is added again once, after
    other blocks have changed the stream.

    ## Evidence
    The sum is (n x + f(x)), exactly, with n read off the graph: over d blocks the identity grows n^d-fold.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 3.1: factors on the skip multiply over the blocks.
    """

    code = "NC405"
    name = "skip-added-twice"
    severity = Severity.WARNING
    plain = "A skip connection is added twice, so the signal doubles from block to block"
    BAD = (
        Example(
            "once in the middle, once at the end",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        out = self.norm(self.conv(F.relu(x)))
        out = out + x
        return x + out

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "two branches and one skip",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.feed = nn.Linear(16, 16), nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        return x + self.attention(x) + self.feed(x)

model = nn.Sequential(nn.Linear(8, 16), Block(), Block(), nn.Linear(16, 4))
""",
            "8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such sums of a model."""
        sums = (node for node in graph if node.kind is Kind.ADD and node.live and node.carries)
        found = {node: number for node in sums if (number := repetitions(node)) > 1}
        if not found:
            return
        most = max(found.values())
        times = f"{most:.0f}" if most < 1e6 else f"{most:.3g}"
        blocks = f"{len(found)} sums" if len(found) > 1 else "the sum"
        yield self.finding(
            f"the block's input reaches {blocks} {'twice' if most == 2 else f'{times} times'}: "
            f"each block computes {times}x + f(x)",
            help="add it once: `x + self.block(x)`, with a block that has no skip of its own",
            evidence=Evidence(
                most,
                "times the identity",
                f"{times}x in {len(found)} sum{'s' if len(found) > 1 else ''}: the identity grows {power(most, len(found))}-fold",
                limit=1,
            ),
            at=list(found),
            verdict=Verdict.CONFIRMED,
        )


def power(base: float, exponent: int) -> str:
    """A power in few digits, however large: "8", "1.27e+30", "10^602"."""
    digits = exponent * math.log10(base)
    return f"{base**exponent:.3g}" if digits < 300 else f"10^{digits:.0f}"


def repetitions(node: Node) -> float:
    """How often a sum's own input is among its terms, beside others; 0 for a sum without a skip, or inside another."""
    from netcheck.trace import residual

    if not residual.is_plain_sum(node) or residual.is_partial(node):
        return 0
    counts: dict[Node, float] = {}
    for term, outer in residual.terms(node).items():
        for part, inner in taken_apart(term).items():
            counts[part] = counts.get(part, 0.0) + outer * inner
    skip, times = max(counts.items(), key=lambda item: item[1])
    if times < 2:
        return 0
    injected = any(user.kind is Kind.ADD and user.index > node.index for user in skip.users)  # into every block
    return times if len(counts) > 1 and not injected and is_input_of_another(skip, counts) else 0


def taken_apart(term: Node) -> dict[Node, float]:
    """The terms of a sum that a rectifier or dropout hands on to nothing but another sum; else the term itself."""
    from netcheck.trace import residual

    rectifies = term.activation is not None and term.activation.rectifier
    if not (rectifies or term.kind is Kind.DROPOUT) or len(term.users) != 1:
        return {term: 1.0}
    inner = residual.value_of(next(source for source in term.inputs if source.depends))
    return residual.terms(inner) if residual.is_plain_sum(inner) and inner.users == [term] else {term: 1.0}


def is_input_of_another(skip: Node, terms: Iterable[Node]) -> bool:
    """Whether a layer makes some other term from the one that repeats: that is a skip, and not an input added up."""
    from netcheck.trace import residual

    for other in terms:
        origin, reached = residual.meeting(skip, other) if other is not skip else (None, {})
        if origin is skip and any(residual.is_layer(node) for node in reached if node is not skip):
            return True
    return False
