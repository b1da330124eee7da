"""NC707: what forward writes into the model, which replicas lose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph, Node

RUNNING = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        h = self.layer(x)
        {update}
        return h - self.mean

model = Net()
"""


class LostBuffer(BatchRule):
    """Forward leaves values of the batch behind in the model: on several devices they are lost, or differ.

    ## What it does
    Finds the buffers that forward writes to and the attributes that it sets, where what they get depends on the input. The
    running statistics of torch's own normalizations are not meant: they are the first device's, by design. A value that is
    only set, and does not come of what was there before, is information.

    ## Why is this bad?
    `nn.DataParallel` runs forward on replicas that are thrown away after it: what they set is gone, and what the first one
    writes in place is that of its share alone. Under `DistributedDataParallel` each process has its own, and before the next
    forward the first process's buffers overwrite all others.

    ## When it is fine
    Where nobody reads it but to look at it: attention weights that are kept for a plot, say.

    ## Evidence
    The values that forward leaves behind.

    ## References
    - torch.nn.DataParallel, warning: "in each forward, module is replicated on each device, so any updates to the running
      module in forward will be lost".
    """

    code = "NC707"
    name = "lost-buffer"
    severity = Severity.WARNING
    plain = "What it keeps from a batch is lost or differs on several devices"
    BAD = (
        Example(
            "a running mean, written in place",
            RUNNING.format(update="self.mean.lerp_(h.mean(0).detach(), 0.1)"),
            "4x8",
            devices=2,
        ),
        Example(
            "a running mean, set anew",
            RUNNING.format(update="self.mean = 0.9 * self.mean + 0.1 * h.mean(0).detach()"),
            "4x8",
            devices=2,
        ),
    )
    GOOD = (
        Example("a buffer that is only read", RUNNING.format(update="h = h * 2"), "4x8", devices=2),
        Example(
            "running statistics of a batch normalization",
            "model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))",
            "4x8",
            devices=2,
        ),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Nodes whose values forward left behind and that depend on the input."""
        kept = [node for node in graph.kept if node.depends]
        if not kept or batches.devices < 2:
            return
        several = len(kept) > 1
        yield self.finding(
            f"forward leaves {f'{len(kept)} values' if several else 'a value'} of the batch behind in the model: "
            f"{fate(kept)}, and DistributedDataParallel keeps the first process's",
            help="return it from forward and keep it outside; or take it over all devices before it is written "
            "(torch.distributed.all_reduce)",
            evidence=Evidence(len(kept), "values", f"{len(kept)} value{'s' if several else ''} left behind", limit=0),
            at=kept,
            severity=Severity.WARNING if any(map(carries_over, kept)) else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )


def fate(kept: list[Node]) -> str:
    """What nn.DataParallel makes of values: its first replica shares the model's memory, and all replicas are thrown away."""
    in_place = sum(map(writes, kept))
    if in_place == len(kept):
        return f"nn.DataParallel keeps the first device's, since {'they are' if in_place > 1 else 'it is'} written in place"
    beside = f" but the {in_place} written in place" if in_place else ""
    return f"nn.DataParallel loses {'them' if len(kept) > 1 else 'it'}{beside}"


def writes(node: Node) -> bool:
    """Whether an operation writes into the memory that it is given, as `lerp_` and `+=` do."""
    name = str(node.function)
    return (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")


def carries_over(node: Node) -> bool:
    """Whether a value that forward leaves behind comes of what was there before: it is a state."""
    parameters = {name for name, _ in node.graph.model.named_parameters(remove_duplicate=False)}
    pending, met = [node], {node}
    while pending:
        each = pending.pop()
        if each.op == "get_attr" and each.target not in parameters:
            return True
        pending += [source for source in each.inputs if source not in met]
        met.update(each.inputs)
    return False
