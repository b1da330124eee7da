"""NC710: shards whose outputs or gradients are not those of the whole batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches, Comparison, ParallelRun
    from netcheck.trace.graph import ModelGraph


def net(expression: str) -> str:
    """A model with one layer, whose output `h` this expression turns into the result."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        h = self.layer(x)
        return {expression}

model = Net()
"""


class ShardsDiffer(BatchRule):
    """A batch that is split over devices gives other outputs or gradients than on one, or a device raises.

    ## What it does
    Runs the whole batch, and each device's share, on copies of the model: dropout off, in double precision. The joined
    outputs must be those of the whole batch, and so must the gradients, weighted by samples, to 1e-9 (to 1e-4 where the
    model insists on single precision). Where an operation is known to mix samples, `samples-mixed` says so instead.
    With as many accelerators as devices are asked for, the shares run there, under `DistributedDataParallel` and once more
    under `nn.DataParallel`; otherwise in processes on the CPU, and the report says so.

    ## Why is this bad?
    The model that is trained on eight devices is another one than was tried out on one.

    ## When it is fine
    Batch normalization differs by design; what is left with synchronized statistics is looked at, too.

    ## Evidence
    The relative L2 difference of outputs and gradients.

    ## References
    - Goyal et al. 2017, Accurate, Large Minibatch SGD, section 3: subtleties and pitfalls of distributed SGD.
    """

    code = "NC710"
    name = "shards-differ"
    severity = Severity.ERROR
    plain = "On several devices it gives other results than on one"
    explained_by = ("NC305", "NC705", "NC706")
    BAD = (
        Example("less the mean of the batch", net("h - h.mean(0)"), "4x8", devices=2, batch_size=8),
        Example(
            "each sample less the one before it, in a loop",
            net("torch.stack([a - b for a, b in zip(h, [h[0], *h])])"),
            "4x8",
            devices=2,
            batch_size=8,
        ),
    )
    GOOD = (
        Example("samples stay apart", net("h.relu()"), "4x8", devices=2, batch_size=8),
        Example("in a loop too", net("torch.stack([row * 2 for row in h])"), "4x8", devices=2, batch_size=8),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """The comparison, if it came out unequal; else that of nn.DataParallel, if it was run."""
        found = batches.comparison
        fault = (found.failure if found else "") or batches.share_fault
        if batches.devices < 2:
            return
        if fault:
            yield self.finding(
                f"split over {batches.devices} devices, {fault}",
                help=way_out(fault),
                evidence=Evidence(1.0, "failures", fault),
                places=[batches.fault_at],
                verdict=Verdict.CONFIRMED,
            )
        elif found is not None and not found.equal:
            yield self.difference(batches, found)
        elif found is not None and found.data_parallel is not None and fails_alone(batches, found):
            yield self.gathered(batches, found, found.data_parallel)

    def difference(self, batches: Batches, found: Comparison) -> Finding:
        """Shards that give something else than the whole batch."""
        by_design = found.synced is not None and found.synced <= found.tolerance
        first = f": from {batches.mixing[0].target} on" if batches.mixing else named(found)
        return self.finding(
            f"split over {batches.devices} devices, the {worst(found)} are not those of the whole batch{first}",
            help="keep samples apart in forward, or take what they share over all devices (nn.SyncBatchNorm for batch "
            "normalization)",
            evidence=Evidence(found.largest, "relative L2", measured(found, found), limit=found.tolerance),
            at=batches.mixing[:1],
            severity=Severity.INFO if by_design else Severity.ERROR,
            verdict=Verdict.CONFIRMED,
        )

    def gathered(self, batches: Batches, found: Comparison, run: ParallelRun) -> Finding:
        """nn.DataParallel alone fails, or gives something else: it gathers outputs along dimension 0, and replicates modules."""
        ending = f"nn.DataParallel {run.failure}"
        return self.finding(
            f"split over {batches.devices} devices, "
            + (ending if run.failure else f"the {worst(run)} of nn.DataParallel are not those of the whole batch"),
            help="use DistributedDataParallel; or return tensors that have the batch in dimension 0, along which "
            "nn.DataParallel puts outputs together, and keep what forward needs in parameters and buffers",
            evidence=Evidence(1.0, "failures", ending)
            if run.failure
            else Evidence(run.largest, "relative L2", measured(run, found), limit=found.tolerance),
            verdict=Verdict.CONFIRMED,
        )


def named(found: Comparison) -> str:
    """The buffers to which that may come down, where no operation mixes samples."""
    if not found.by_rank:
        return ""
    return f": {', '.join(found.by_rank[:3])} ha{'s' if len(found.by_rank) == 1 else 've'} another value on each rank"


def way_out(fault: str) -> str:
    """What to do about a device that fails."""
    if "Expected to have finished reduction" in fault:
        return "use every parameter on every device, or wrap the model with find_unused_parameters=True"
    if fault.startswith("rank "):
        return "run forward and backward in that process alone, to see what happens there; processes must do the same steps"
    return "use shares on which forward runs: a larger batch or fewer devices"


def fails_alone(batches: Batches, found: Comparison) -> bool:
    """Whether nn.DataParallel comes out unequal though it cuts all arguments where the batch is (or another rule says so)."""
    cut_well = not batches.refusal and all(tensor.axis == 0 for tensor in batches.inputs)
    return cut_well and found.data_parallel is not None and not found.equal_to(found.data_parallel)


def worst(run: Comparison | ParallelRun) -> str:
    """What differs most."""
    return "outputs" if run.outputs >= (run.gradients or 0.0) else "gradients"


def measured(run: Comparison | ParallelRun, found: Comparison) -> str:
    """The difference in words."""
    if run.largest < float("inf"):
        return f"{worst(run)} differ by {run.largest:.2g} ({found.samples} samples, {found.dtype})"
    return f"{worst(run)} of other shapes, or not finite ({found.samples} samples)"
