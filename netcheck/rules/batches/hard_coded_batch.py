"""NC704: a batch size that is written into forward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example, Fixable

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph


def net(expression: str) -> str:
    """A model with a convolution, whose output `h` (N, 4, 6, 6) this expression flattens."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(144, 4)

    def forward(self, x):
        h = self.conv(x)
        return self.head({expression})

model = Net()
"""


def recurrent(state: str) -> str:
    """A recurrent model that starts from this state."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 16, batch_first=True)

    def forward(self, x):
        return self.rnn(x, {state})[0]

model = Net()
"""


class HardCodedBatch(BatchRule):
    """Forward runs at one batch size only, or keeps it where the batch changes.

    ## What it does
    Runs forward at the whole batch and at one device's share of it, without computing anything. Where it fails, or where an
    operation gives the old size for another batch, it looks for the number in forward. Nobody need ask about devices: without
    them forward is run on three samples and on two, where something tells that the first dimension is the batch (a convolution,
    a layer with `batch_first`, `batch = x.size(0)` in forward).

    ## Why is this bad?
    Each device gets a share of the batch, and the last batch of an epoch is smaller: both raise. Or worse, `view(8, -1)`
    folds sixteen samples into eight rows, and a row is two samples.

    ## When it is fine
    In a script that only ever sees one batch size on one device.

    ## Evidence
    The batch size at which forward fails or keeps its old size.

    ## References
    - torch.Tensor.view: -1 stands for the size that is left over.
    """

    code = "NC704"
    name = "hard-coded-batch"
    severity = Severity.ERROR
    plain = "It works for one batch size only"
    fixable = Fixable("take the size from the input: `x.size(0)`", safe=True)
    without_devices = True
    BAD = (
        Example("a view to eight rows", net("h.view(8, -1)"), "8x3x8x8", devices=2),
        Example("a first state for four samples", recurrent("torch.zeros(1, 4, 16)"), "4x5x8", devices=2),
    )
    GOOD = (
        Example("a view to as many rows as there are samples", net("h.view(h.size(0), -1)"), "8x3x8x8", devices=2),
        Example("flatten", net("h.flatten(1)"), "8x3x8x8", devices=2),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """How forward fails at another size, and the operation that has the number."""
        fixed, fault = batches.fixed, batches.size_fault
        if batches.doubtful or batches.single_fault or (not fault and fixed is None):
            return
        example = batches.example_size
        if fixed is not None:
            what = f"{fixed.target} has the batch size {example} written into it"
        else:
            what = f"forward runs at a batch of {example}, but not of every size"
        yield self.finding(
            what,
            help="take the size from the input: x.size(0), -1, or x.flatten(1)",
            evidence=Evidence(
                1.0, "failures" if fault else "operations", fault or f"gives {fixed.shape if fixed else ''} at every batch size"
            ),
            at=[fixed] if fixed is not None else [],
            places=[batches.fault_at],
            verdict=Verdict.CONFIRMED,
        )
