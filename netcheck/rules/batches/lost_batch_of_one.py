"""NC712: a batch of one that forward squeezes away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph


def net(expression: str) -> str:
    """A model with a convolution, whose output `h` (N, 4, 6, 6) this expression pools to vectors."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        h = self.conv(x)
        return self.head({expression})

model = Net()
"""


class LostBatchOfOne(BatchRule):
    """Of a batch of one sample, the output has one dimension less, or forward raises: `squeeze()` takes the batch away.

    ## What it does
    Runs the model in eval mode on three samples, on two and on one, where something tells that the first dimension is the batch
    (a convolution, a layer with `batch_first`, `batch = x.size(0)` in forward).

    ## Why is this bad?
    The last batch of an epoch may have one sample, and at test time there is often no more: the loss then broadcasts (C) against
    (1, C), a softmax over dim 1 raises, or one over the last dimension goes on in silence.

    ## When it is fine
    Where there is always a larger batch.

    ## Evidence
    The shapes of the output for two samples and for one.

    ## References
    - PyTorch documentation of torch.squeeze: "If the tensor has a batch dimension of size 1, then squeeze(input) will also
      remove the batch dimension, which can lead to unexpected errors."
    """

    code = "NC712"
    name = "lost-batch-of-one"
    severity = Severity.WARNING
    plain = "A batch of one sample loses its first dimension, or fails"
    without_devices = True
    with_devices = False
    BAD = (Example("a squeeze of all dimensions", net("F.adaptive_avg_pool2d(h, 1).squeeze()"), "4x3x8x8"),)
    GOOD = (
        Example("a squeeze of those that are meant", net("F.adaptive_avg_pool2d(h, 1).squeeze(-1).squeeze(-1)"), "4x3x8x8"),
        Example("flatten", net("F.adaptive_avg_pool2d(h, 1).flatten(1)"), "4x3x8x8"),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """What becomes of a batch of one, and the operation that takes it away."""
        if batches.doubtful or not batches.single_fault:
            return
        what = f"{batches.fixed.target} takes the batch away" if batches.fixed else "forward is not made for it"
        yield self.finding(
            f"of a batch of one, {what}: {batches.single_fault}",
            help="name the dimensions that have one entry: x.squeeze(-1), or x.flatten(1)",
            evidence=Evidence(1.0, "samples", f"for 1 sample {batches.single_fault}"),
            at=[batches.fixed] if batches.fixed else [],
            verdict=Verdict.CONFIRMED,
        )
