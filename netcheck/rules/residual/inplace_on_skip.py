"""NC403: an in-place operation on the tensor that the skip carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class InplaceOnSkip(StaticRule):
    """An in-place operation overwrites the tensor that the skip carries: what is added is no longer the block's input.

    ## What it does
    Finds sums (and concatenations) of a branch with a tensor that the branch itself has changed in place, where the sum
    reads the tensor by the name that it had before: `x + self.block(x)` with a block that begins with
    `nn.ReLU(inplace=True)` adds relu(x), not x.

    ## Why is this bad?
    The model is another one than its code says, and PyTorch reports nothing: the identity has become a rectifier (or
    whatever the operation is), so every block cuts the negative half of the signal and of the gradient off the skip.

    ## When it is fine
    Where the result is named anew, so that the code means the new value: `x = self.relu(x)`, then `x + self.conv(x)`.
    Where the operation is given a tensor of the branch's own (after a norm or a layer, or a `clone`), and where it changes
    nothing, as a ReLU on what a ReLU has made.

    ## Evidence
    The fact is read off the graph: the operation and the sum that reads its result under the old name. What stands on the
    skip multiplies over the blocks; what that costs is measured in NC402.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, sections 3 and 4.
    """

    code = "NC403"
    name = "inplace-on-skip"
    severity = Severity.WARNING
    plain = "What a skip connection carries is overwritten before it is added"
    fixable = Fixable("let the operation make a tensor of its own", safe=False)
    BAD = (
        Example(
            "the branch begins with an in-place ReLU",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 1)
        )

    def forward(self, x):
        return x + self.body(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "the result is named anew: relu(x) is meant",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(x)
        return x + self.conv(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all overwritten skips of a model."""
        found = [(node, culprit) for node in graph if (culprit := overwriting(node)) is not None]
        if not found:
            return
        culprits = list(dict.fromkeys(culprit for _, culprit in found))
        name = culprits[0].target
        times = f"{len(found)} skips carry" if len(found) > 1 else "the skip carries"
        yield self.finding(
            f"{name} works in place on the block's input: {times} the changed tensor, not the identity",
            help="let the operation make a tensor of its own (`inplace=False`, `F.relu(x)`, `x = x + ...`), or name its "
            "result if that is what the skip should carry: `x = self.relu(x)`",
            evidence=Evidence(
                len(found),
                "skips",
                f"{len(found)} of {max(len(found), len(graph.residuals))} residual sums take a tensor "
                "that was changed in place after the skip had been named",
                limit=0,
            ),
            at=[*culprits, *(node for node, _ in found)],
            verdict=Verdict.CONFIRMED,
            count=len(found),
        )


def overwriting(node: Node) -> Node | None:
    """The in-place operation that changed an operand of a sum or concatenation under its name; None if none did."""
    from netcheck.trace import residual

    if not node.live or not node.carries:
        return None
    culprit = None
    if node.kind is Kind.CAT:
        culprit = next(overwritten_parts(node), None)
    elif (found := residual.residual_at(node)) is not None:
        culprit = found.overwritten
    elif node.kind is Kind.ADD:
        culprit = residual.overwritten_operand(node)
    return culprit if culprit is not None and changes_value(culprit) else None


def overwritten_parts(node: Node) -> Iterator[Node]:
    """The parts of a concatenation that another part's branch has overwritten."""
    from netcheck.trace import residual

    for part in node.outdated:
        for other in node.inputs:
            if other is not part and other.carries:
                origin, reached = residual.meeting(part, other)
                if origin is part and residual.is_overwritten(part, [node], reached):
                    yield part


def changes_value(node: Node) -> bool:
    """Whether an in-place operation gives other numbers than it was given, in training."""
    from netcheck.trace import residual

    source = next((s for s in node.inputs if s.carries), None)
    if source is None or node.kind in (Kind.RESHAPE, Kind.DETACH) or residual.hand_on(node) is not None:
        return False
    rectifies = node.activation is not None and node.activation.rectifier
    return not (rectifies and is_rectified(source))


def is_rectified(node: Node) -> bool:
    """Whether a value is never negative, because a rectifier has made it."""
    from netcheck.trace.residual import value_of

    maker = value_of(node)
    return maker.activation is not None and maker.activation.nonnegative
