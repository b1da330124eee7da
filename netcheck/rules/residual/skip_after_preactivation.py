"""NC407: a pre-activation block whose skip starts after the norm and the activation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.residual import Residual


class SkipAfterPreactivation(StaticRule):
    """A pre-activation block takes its skip after its norm and activation, so the identity passes both in every block.

    ## What it does
    Finds identity skips that begin at an activation of a normalized stream: norm and activation stand at the head of the
    block, and what is added at its end is their output, not the block's input.

    ## Why is this bad?
    The point of pre-activation is a clean way from the first block to the last. Here each block normalizes and rectifies
    that way: the gradient is scaled and half of it cut off once a block, as in a plain net of that many activations.

    ## When it is fine
    Where the skip has a projection (the first block of a stage takes it after the pre-activation in the paper itself), and
    in ResNet's own order, where the activation follows the sum and the norm stands in the branch. A norm alone at the head
    of each block, `x = norm(x); x = x + f(x)`, is the post-norm order of the first transformers in other lines, and is not
    reported.

    ## Evidence
    ResNet-110 on CIFAR-10: 8.17 % error with BatchNorm after the addition, 6.61 % as published, 6.37 % with full
    pre-activation and a clean identity.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 4.1 and table 2.
    """

    code = "NC407"
    name = "skip-after-preactivation"
    severity = Severity.WARNING
    plain = "A skip connection starts behind the norm and activation of its block, where it should start before them"
    BAD = (
        Example(
            "the shortcut is taken one line too late",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x):
        out = F.relu(self.norm1(x))
        shortcut = out
        out = self.conv1(out)
        out = self.conv2(F.relu(self.norm2(out)))
        return out + shortcut

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "pre-activation with the skip from the block's input",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.norm1(x)))
        out = self.conv2(F.relu(self.norm2(out)))
        return out + x

model = nn.Sequential(nn.Conv2d(3, 8, 3), *[Block() for _ in range(3)], nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such blocks of a model."""
        found = {each.node: start for each in graph.residuals if (start := late_start(each)) is not None}
        if not found:
            return
        norm, activation = next(iter(found.values()))
        blocks = f"in {len(found)} blocks the skip starts" if len(found) > 1 else "the skip starts"
        yield self.finding(
            f"{blocks} after {norm.target} and {activation.target}: the identity passes both, block after block",
            help="keep the block's input before them: `identity = x; out = self.relu(self.norm(x))`, and at the end "
            "`out + identity`",
            evidence=Evidence(
                len(found),
                "blocks",
                f"{len(found)} of {len(graph.residuals)} identity skips begin at an activation of a norm "
                "of the stream; ResNet-110 loses 1.6 points on CIFAR-10 with a norm there",
                limit=0,
            ),
            at=[node for start in found.values() for node in start],
            severity=Severity.WARNING if len(found) > 1 else Severity.INFO,
            verdict=Verdict.CONFIRMED,
            count=len(found),
        )


def late_start(residual: Residual) -> tuple[Node, Node] | None:
    """The norm and the activation of the stream after which an identity skip begins; None if it begins elsewhere."""
    from netcheck.trace.residual import residual_at, value_of

    if residual.skip.layers or residual.projected:
        return None
    activation = value_of(residual.origin)
    if activation.kind is not Kind.ACTIVATION or activation.activation is None:
        return None
    norm = value_of(next(source for source in activation.inputs if source.depends))
    if norm.kind is not Kind.NORM:
        return None
    stream = value_of(next(source for source in norm.inputs if source.depends))
    heads_block = residual_at(stream) is not None or enters_block(stream, norm, residual.node)
    return (norm, activation) if heads_block else None


def enters_block(stream: Node, norm: Node, node: Node) -> bool:
    """Whether the norm belongs to the module that adds the skip, and what it normalizes was made before that module."""
    block = node.call.owner if node.call else None
    if block is None or block is node.graph.model or norm.call is None or stream.call is None:
        return False
    parts = {id(part) for part in block.modules()}
    return id(norm.call.owner) in parts and id(stream.call.owner) not in parts
