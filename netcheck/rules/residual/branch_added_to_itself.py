"""NC404: both sides of an addition are the branch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import FUNCTIONS, Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_SUMS = frozenset((Kind.ADD, Kind.ACTIVATION))


class BranchAddedToItself(StaticRule):
    """Both sides of an addition are the same tensor: it is only doubled, and there is no skip.

    ## What it does
    Finds sums whose terms are all one value behind a weight layer, up to what hands it on unchanged (an identity, a cast)
    or thins it out (dropout), or one value and its activation: `x = self.conv(x)` followed by `x + x`, or
    `identity = out` where `identity = x` was meant.

    ## Why is this bad?
    The block looks residual and is plain: its input has no way around its layers, and every block's output is twice as
    large.

    ## When it is fine
    Never as a skip. Where a factor of two is meant, `2 * x` says so.

    ## Evidence
    The sum is 2x, exactly: the fact is read off the graph. What the lost skip costs is measured in NC401.

    ## References
    - He et al. 2015, Deep Residual Learning for Image Recognition: plain nets of the same depth train worse.
    """

    code = "NC404"
    name = "branch-added-to-itself"
    severity = Severity.WARNING
    plain = "A tensor is added to itself where a skip connection was probably meant"
    fixable = Fixable("keep the block's input as `identity`, and add that", safe=False)
    BAD = (
        Example(
            "the input's name is reused before the skip",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.norm(self.conv(x))
        identity = x
        return F.relu(x + identity)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "the block's input is kept",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        identity = x
        x = self.norm(self.conv(x))
        return F.relu(x + identity)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such sums of a model."""
        sums = [node for node in graph if node.kind in _SUMS and node.live and node.carries]
        found = [node for node in sums if adds_itself(node)]
        if not found:
            return
        which = f"{len(found)} sums add" if len(found) > 1 else "a sum adds"
        yield self.finding(
            f"{which} a branch to itself: no skip leads around its layers",
            help="keep the block's input under its own name and add that: `identity = x` before the first layer, "
            "`out + identity` at the end",
            evidence=Evidence(
                1,
                "distinct terms",
                f"1 distinct term in a sum of 2, in {len(found)} sum{'s' if len(found) > 1 else ''}",
                limit=2,
            ),
            at=found,
            verdict=Verdict.CONFIRMED,
        )


def adds_itself(node: Node) -> bool:
    """Whether all terms of a sum are one value that a weight layer has had a part in."""
    from netcheck.trace import residual

    if is_sum_of_activations(node):
        return comes_from_layer(node)
    if not residual.is_plain_sum(node) or residual.is_partial(node) or residual.overwritten_operand(node) is not None:
        return False  # one tensor under two names is the business of NC403
    terms = {before_dropout(term) for term in residual.terms(node)}
    return len(terms) == 1 and comes_from_layer(terms.pop())


def is_sum_of_activations(node: Node) -> bool:
    """Whether a sum adds a value to its own activation: y + relu(y), which is one elementwise function and no skip.

    Functions that are written as such a sum (Snake: y + sin(y)^2) are made of other parts.
    """
    from netcheck.trace import residual

    if node.kind is not Kind.ACTIVATION or node.function not in ("add", "iadd"):
        return False
    operands = residual.operands(node)
    known = [o for o in operands if o.module is not None or FUNCTIONS.get(o.function, ("",))[0] is Kind.ACTIVATION]
    origins = {o.inputs[0] if o in known and o.activation is not None else o for o in operands}
    return len(operands) == 2 and len(origins) == 1 and any(o.activation is not None for o in known)


def before_dropout(node: Node) -> Node:
    """A value before dropout thinned it out, and before what hands it on unchanged."""
    from netcheck.trace.residual import value_of

    node = value_of(node)
    while node.kind is Kind.DROPOUT:
        node = value_of(next(source for source in node.inputs if source.depends))
    return node


def comes_from_layer(node: Node) -> bool:
    """Whether a value has passed a weight layer."""
    pending, seen = [node], set()
    while pending:
        source = pending.pop()
        if is_weight_layer(source):
            return True
        if source not in seen:
            seen.add(source)
            pending += [before for before in source.inputs if before.carries]
    return False
