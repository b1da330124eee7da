"""NC402: something stands on the skip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_WARN = 9  # blocks: there they take three times the steps of an identity


class BlockedIdentity(StaticRule):
    """The skip of a residual block is no identity: an activation, dropout, norm, factor or 1×1 convolution stands on it.

    ## What it does
    Looks at what the block's input passes on its way to the sum, beside the branch, where its shape stays: activations,
    active dropout, norms, fixed factors other than one, layers. It is information, and a warning from nine blocks with dropout,
    a layer or a factor below one on their skips; what a larger factor does to the gradient is measured (NC602).

    ## Why is this bad?
    What stands on the skip is applied once a block and multiplies with depth: a factor of 0.9 is 0.005 after 50 blocks,
    a rectifier cuts half of the gradient each time, dropout lets a whole signal path vanish. The identity is what carries
    the gradient through a deep net.

    ## When it is fine
    Where the shape changes: a projection has to stand there (but no dropout). The activation after the sum (ResNet) and the
    norm after the sum
    (post-norm Transformers) are not on the skip of any one block. Gates that are computed (highway nets) and trained
    factors can open the way themselves. Branches without a nonlinearity that are merged into one convolution later
    (RepVGG), and skips across a whole encoder and decoder, are no blocks of a stack. Weighted averages of both sides
    (GCNII, magnitude-preserving sums) are left alone as a choice, though they cost accuracy in a ResNet.

    ## Evidence
    ResNet-110 on CIFAR-10, error with the identity: 6.61 %. 1×1 convolutions on the skip: 12.22 %. A factor of 0.5 on the
    skip or dropout of 0.5 on it: above 20 %, as without skips; 0.5 on both sides: 12.35 %. BatchNorm after the sum: 8.17 %.

    The limit: residual nets of 8 channels on 8×8 digits, batches of 64, steps of SGD with momentum to 78 % accuracy, the best of
    three rates. With 3 blocks all take 42 to 83. With 9 the identity takes 35, a rectifier 32, tanh 45, BatchNorm 49, a factor
    of 0.5 99, a 1×1 convolution 135, dropout of 0.5 more than 300. With 18 blocks 43, 36, 82, 137, 225, 251, and
    never; with 36 blocks 83, 84, 199, 251, never, 297, and never.

    ## References
    - He et al. 2016, Identity Mappings in Deep Residual Networks, section 3, tables 1 and 2.
    """

    code = "NC402"
    name = "blocked-identity"
    severity = Severity.WARNING
    plain = "Something stands on a skip connection that should hand its input on unchanged"
    THRESHOLDS = (Threshold("warning", _WARN, "blocks with dropout, a layer or a small factor on the skip that are a warning"),)
    BAD = (
        Example(
            "a rectifier on the skip",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x):
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return out + F.relu(x)

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(), Block(), nn.Flatten(), nn.Linear(8 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "ResNet: the activation follows the sum, the projection changes the shape",
            """
class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, stride, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.norm1, self.norm2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, x):
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))

model = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8, 8, 1), Block(8, 16, 2), nn.Flatten(), nn.Linear(16 * 9, 10))
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all blocked skips of a model."""
        from netcheck.trace.questions.skips import blocked, weakens

        if not (found := blocked(graph)):
            return
        nodes = list(dict.fromkeys(node for each in found.values() for node in each))
        names = ", ".join(dict.fromkeys(node.target for node in nodes))
        costly = sum(any(weakens(node) for node in each) for each in found.values())
        skips = f"{len(found)} skips are no identities" if len(found) > 1 else "the skip is no identity"
        yield self.finding(
            f"{skips}: the block's input passes {names} on its way to the sum",
            help="add the block's input as it is, `x + branch(x)`; a projection belongs only where the shape changes",
            evidence=Evidence(
                len(found),
                "skips",
                f"{len(found)} of {len(graph.residuals)} skips blocked; what stands there multiplies from block to block",
                limit=0,
            ),
            at=nodes,
            severity=Severity.WARNING if costly >= self.limit("warning") else Severity.INFO,
            verdict=Verdict.CONFIRMED,
            count=len(found),
        )
