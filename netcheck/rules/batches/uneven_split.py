"""NC701: shares of a batch that differ in size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.figures.batches import mean_of_means
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph

NET = "model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))"


class UnevenSplit(BatchRule):
    """The devices get different numbers of samples.

    ## What it does
    Cuts a batch of N over D devices as `Tensor.chunk` does, in pieces of ⌈N/D⌉: 50 over 4 gives 13, 13, 13 and 11. Where
    the pieces differ it says by how much the mean of the devices' mean gradients is off.

    ## Why is this bad?
    A loss that is averaged on each device and then over the devices, as `DistributedDataParallel` does and as a loss inside
    of forward does under `nn.DataParallel`, gives the samples of the smaller share more weight: 1/11 of a quarter where the
    others have 1/13. The step is not the one that a single device would take, and all devices wait for the largest share.

    ## When it is fine
    In evaluation, and where the loss is computed once on the joined outputs of `nn.DataParallel`.

    ## Evidence
    The relative L2 difference of the mean of means from the gradient of the whole batch, for a random cotangent; measured
    if the shards can be run here, else from the weights alone: sqrt(mean((w_n N − 1)²)), which is what it comes to for
    samples whose gradients are independent.

    ## References
    - torch.Tensor.chunk; torch/nn/parallel/scatter_gather.py.
    - Goyal et al. 2017, Accurate, Large Minibatch SGD, section 3: a loss over kn samples is normalized by kn.
    """

    code = "NC701"
    name = "uneven-split"
    severity = Severity.WARNING
    plain = "The devices get different numbers of samples"
    BAD = (
        Example("50 samples over 4 devices", NET, "2x8", devices=4, batch_size=50),
        Example("7 over 4", NET, "2x8", devices=4, batch_size=7),
    )
    GOOD = (
        Example("52 over 4", NET, "2x8", devices=4, batch_size=52),
        Example("one device", NET, "2x8", devices=1, batch_size=7),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Shares of unequal size."""
        sizes = batches.samples
        if len(set(sizes)) < 2 or batches.dropped:
            return
        comparison = batches.comparison
        # Where samples mix, the difference has another cause too.
        alone = comparison is not None and comparison.equal and comparison.samples == batches.batch_size
        measured = comparison.mean_of_means if comparison is not None and alone else None
        off = mean_of_means(sizes) if measured is None else measured
        how = "expected" if measured is None else "measured"
        better = -(-batches.batch_size // batches.devices) * batches.devices
        yield self.finding(
            f"a batch of {batches.batch_size} over {batches.devices} devices is cut into {', '.join(map(str, sizes))}",
            help=f"use batches of {better}, a multiple of {batches.devices}, with `drop_last=True` in the DataLoader; or "
            "sum the loss on each device and divide by the number of all samples",
            evidence=Evidence(
                off, "relative L2", f"mean of the devices' mean gradients off by {off:.2g} (relative L2, {how})", limit=0.0
            ),
            verdict=Verdict.CONFIRMED,
        )
