"""NC703: arguments of forward that nn.DataParallel cuts wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches, Input
    from netcheck.trace.graph import ModelGraph

MASKED = """
class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x, mask):
        return self.layer(x * mask)

model = Masked()
"""
RECURRENT = """
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(8, 16, num_layers=2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x, hidden):
        y, hidden = self.rnn(x, hidden)
        return self.head(y[:, -1])

model = Recurrent()
"""


class UnsplittableInput(BatchRule):
    """An argument of forward has no batch in its first dimension, and nn.DataParallel cuts it there all the same.

    ## What it does
    Finds the batch dimension of every tensor that forward is given by running it at another batch size, and compares with
    what `nn.DataParallel` does: it cuts every tensor along dimension 0, whatever that means.

    ## Why is this bad?
    A mask (1, F) beside a batch comes in one piece: `zip` stops after it, and only the first device's samples are ever
    looked at, without a word. A hidden state (layers, N, H) is cut between its layers. A tensor without dimensions raises.

    ## When it is fine
    Under `DistributedDataParallel`, which cuts nothing: every process has its own batch.

    ## Evidence
    The samples that reach a device, of all in the batch; or what `nn.DataParallel` raises.

    ## References
    - torch/nn/parallel/scatter_gather.py: `scatter` zips the pieces of all arguments.
    - PyTorch FAQ, "My recurrent network doesn't work with data parallelism".
    """

    code = "NC703"
    name = "unsplittable-input"
    severity = Severity.ERROR
    plain = "An input has no batch in front, and would be cut in pieces over the devices all the same"
    BAD = (
        Example("a mask for all samples: most are dropped", MASKED, "x=8x8 mask=1x8", devices=4),
        Example("a hidden state (layers, N, H)", RECURRENT, "x=8x5x8 hidden=2x8x16", devices=2),
    )
    GOOD = (
        Example("a mask for each sample", MASKED, "x=8x8 mask=8x8", devices=4),
        Example(
            "a hidden state that has the batch first, turned inside",
            """
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(8, 16, num_layers=2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x, hidden):
        y, hidden = self.rnn(x, hidden.transpose(0, 1).contiguous())
        return self.head(y[:, -1])

model = Recurrent()
""",
            "x=8x5x8 hidden=8x2x16",
            devices=4,
        ),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Tensors whose first dimension is not the batch."""
        wrong = [tensor for tensor in batches.inputs if tensor.axis != 0]
        if batches.devices < 2 or not wrong or len(wrong) == len(batches.inputs):
            return
        names = ", ".join(f"{tensor.name} {written(tensor)}" for tensor in wrong)
        if batches.refusal:
            what, seen = f"nn.DataParallel cannot hand out {names}: {batches.refusal}", 0
        else:
            seen = sum(batches.samples)
            what = f"nn.DataParallel cuts {names} along dimension 0, which is not the batch"
        lost = batches.batch_size - seen
        kept = f"{seen} of {batches.batch_size} samples reach a device"
        kept = kept if lost else f"{kept}, each with a wrong piece"
        yield self.finding(
            what,
            help=way_out(wrong),
            evidence=Evidence(seen, "samples", kept, limit=batches.batch_size),
            verdict=Verdict.CONFIRMED,
        )


def written(tensor: Input) -> str:
    """A shape as a person reads it, and where its batch is."""
    return str(tensor.shape) if tensor.axis is None else f"{tensor.shape} with its batch in dimension {tensor.axis}"


def way_out(wrong: Sequence[Input]) -> str:
    """What to write instead."""
    first = wrong[0]
    if first.axis is not None:
        return f"hand {first.name} to forward with the batch first, and transpose it inside"
    if not first.shape:
        return f"make {first.name} a buffer of the model, or a Python number; or use DistributedDataParallel, which cuts nothing"
    return (
        f"make {first.name} a buffer of the model, expand it to one row for each sample, or use DistributedDataParallel, "
        "which cuts nothing"
    )
