"""NC705: operations through which samples change each other's results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches, Operation
    from netcheck.trace.graph import ModelGraph


def net(expression: str) -> str:
    """A model whose forward is one layer and one expression of its output `h`."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.layer(x)
        return self.head({expression})

model = Net()
"""


class SamplesMixed(BatchRule):
    """An operation makes one sample's result depend on the others in its batch.

    ## What it does
    Runs forward on six samples, operation by operation, and each operation again on three of them at a time, on its own
    inputs: where the pieces do not make up the whole, it mixes samples. The first such operation of forward is named. Batch
    normalization in training is information only: it is meant to.

    Without devices, forward is run on three samples and on two of them in another order, in eval mode and, where it asks for
    its mode, in training: only if a sample's outputs differ is it looked into. That is said where something tells that the first
    dimension is the batch: a convolution, a layer with `batch_first`, `batch = x.size(0)` in forward. Of other inputs that were
    given it is information, since they may be the nodes of one graph; of inputs that netcheck made up nothing is said.

    ## Why is this bad?
    Over several devices each sees only its share: the result depends on how many devices there are. In evaluation a
    prediction changes with what else happens to be in the batch. Often it is a wrong dimension: `softmax(dim=0)`,
    `mean(0)`, a recurrent layer or an attention that takes (time, N, C) and is given (N, time, C).

    ## When it is fine
    Where it is the method, as in contrastive losses and mixup: then gather what is mixed from all devices, or accept that
    each device has its own. Without devices, numbers for pairs of samples that are only returned are not meant, nor is what
    forward does in training alone to keep statistics of it.

    ## Evidence
    The relative difference between the shards' outputs or gradients and those of the whole batch, where the batch was run;
    else that of the operation alone.

    ## References
    - Ioffe & Szegedy 2015, Batch Normalization.
    - Chen et al. 2020, A Simple Framework for Contrastive Learning, appendix B.9: global batch normalization.
    """

    code = "NC705"
    name = "samples-mixed"
    severity = Severity.WARNING
    plain = "What it gives for one sample depends on the others in the batch"
    without_devices = True
    said_by = ("NC109", "NC908", "NC909")
    BAD = (
        Example("less the mean of the batch", net("h - h.mean(0)"), "4x8", devices=2, batch_size=8),
        Example("softmax over samples", net("h.softmax(0)"), "4x8", devices=2, batch_size=8),
    )
    GOOD = (
        Example("less the mean of the features", net("h - h.mean(1, keepdim=True)"), "4x8", devices=2, batch_size=8),
        Example("softmax over classes", net("h.softmax(-1)"), "4x8", devices=2, batch_size=8),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """The first operation that mixes samples; batch normalization apart."""
        if batches.comparison is not None and batches.comparison.equal:
            return  # what was mixed was put back in order, as where tokens are sorted by their expert
        norms = {norm.name for norm in batches.norms}
        mixing = [operation for operation in batches.mixing if operation.name not in norms]
        normal = [operation for operation in batches.mixing if operation.name in norms]
        if mixing:
            yield self._mixed(mixing, batches)
        elif normal and batches.devices > 1:
            yield self._normalized(normal, batches)

    def _mixed(self, mixing: list[Operation], batches: Batches) -> Finding:
        first = mixing[0]
        more = f", the first of {len(mixing)} operations that do" if len(mixing) > 1 else ""
        when = "in training, " if batches.training_only else ""
        place = "" if batches.devices > 1 else ", or on its place in it"
        if batches.doubtful:
            when += "if the first dimension is the batch: "
        return self.finding(
            f"{when}{first.target} makes the result of one sample depend on the others in its batch{place}{more}",
            help=cure(first),
            evidence=evidence(batches),
            at=mixing,
            severity=Severity.INFO if batches.training_only or batches.doubtful else None,
            verdict=Verdict.CONFIRMED,
        )

    def _normalized(self, normal: list[Operation], batches: Batches) -> Finding:
        share = max(batches.samples, default=batches.batch_size)
        return self.finding(
            f"batch normalization takes its statistics from the {share} samples of each device, not from all "
            f"{batches.batch_size}",
            help="if the shares are small, nn.SyncBatchNorm.convert_sync_batchnorm(model) takes them over all devices of "
            "DistributedDataParallel",
            evidence=evidence(batches),
            at=normal,
            severity=Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )


def evidence(batches: Batches) -> Evidence:
    """How far the shards are from the whole batch."""
    found = batches.comparison
    if found is None or found.failure:
        return Evidence(1.0, "operations", "two halves of a batch do not make up the whole")
    if found.largest == float("inf"):
        return Evidence(1.0, "operations", "the outputs of the shards have other shapes than the whole batch's")
    text = f"shards differ from the whole batch by {found.largest:.2g} (relative, {found.samples} samples, {found.dtype})"
    if found.synced is not None:
        text += f", with synchronized batch normalization by {found.synced:.2g}"
    return Evidence(found.largest, "relative", text, limit=found.tolerance)


def cure(operation: Operation) -> str:
    """What to write instead."""
    if operation.kind == "recurrent" or (operation.kind == "attention" and operation.detail == "module"):
        return f"its first dimension is time: build {operation.target} with batch_first=True if the batch comes first"
    if operation.kind in ("softmax", "reduce", "norm"):
        return "work along another dimension than the first (dim=-1, or dim=tuple(range(1, x.dim())) for all but the batch)"
    if operation.target.rpartition(".")[2] in ("div", "mul", "truediv"):
        return "do not use the batch size as a number: average over the features, or leave the scale to the loss"
    return (
        "keep samples apart, dimension 0 is the batch; if it is meant, as in a contrastive loss, gather the samples of all "
        "devices first (torch.distributed.nn.all_gather)"
    )
