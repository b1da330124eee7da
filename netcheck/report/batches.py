"""How a batch splits over devices, for a person.

batch of 50 over 2 devices, replicas on the CPU: outputs and gradients equal (float64)
device 0  forward (25, 10)
device 1  forward (25, 10)
"""

from __future__ import annotations

from netcheck.figures.batches import Batches, Comparison, ParallelRun, Shard
from netcheck.report.cost import counted, size

MOST_ROWS = 16  # devices that are listed without --verbose


def lines(batches: Batches, *, verbose: bool = False) -> list[str]:
    """What is asked of each device, after one line that says what came of it."""
    devices = f"{batches.devices} device{'' if batches.devices == 1 else 's'}"
    found = [f"batch of {batches.batch_size} over {devices}{verdict(batches)}"]
    if batches.comparison and batches.comparison.data_parallel:
        found.append(parallel(batches.comparison, batches.comparison.data_parallel))
    shown = batches.shards if verbose or len(batches.shards) <= MOST_ROWS else batches.shards[:MOST_ROWS]
    found += [row(shard) for shard in shown]
    if len(shown) < len(batches.shards):
        found.append(f"and {len(batches.shards) - len(shown)} more (--verbose shows all)")
    if batches.refusal:
        found.append(f"nn.DataParallel raises: {batches.refusal}")
    elif batches.dropped:
        found.append(f"{batches.dropped} of {batches.batch_size} samples reach no device")
    if batches.duplicates:
        more = f"{counted(batches.duplicates)} more than there are"
        found.append(f"DistributedSampler  {counted(batches.sampler[0])} for each process, {more}")
    return found


def row(shard: Shard) -> str:
    """One device: what its forward sees, and the loss that it returns, if it does."""
    shapes = " ".join(map(str, shard.shapes)) or "()"
    loss = f"  loss {shard.loss:.4g}" if shard.loss is not None else ""
    peak = f"  {size(shard.memory['adam'].peak)} at the peak with Adam" if shard.memory else ""
    return f"device {shard.device}  forward {shapes}{loss}{peak}"


def verdict(batches: Batches) -> str:
    """What running the shards came to."""
    found = batches.comparison
    if found is None:
        return f", {batches.judged}: {mixed(batches)}" if batches.judged else ""
    if found.failure:
        return f", {found.engine}: failed"
    part = "" if found.samples == batches.batch_size else f" on {found.samples} samples"
    said = outcome(found.gradients is not None, None if found.equal else found.largest)
    return f", {found.engine}: {said}{part} ({found.dtype})"


def mixed(batches: Batches) -> str:
    """What judging single operations came to."""
    norms = {norm.name for norm in batches.norms}
    count = sum(operation.name not in norms for operation in batches.mixing)
    beside = " but batch normalization" if norms else ""
    return f"{count} mix{'es' if count == 1 else ''} samples" if count else f"none{beside} mixes samples"


def parallel(found: Comparison, run: ParallelRun) -> str:
    """What nn.DataParallel came to."""
    if run.failure:
        return f"{run.engine}: failed"
    return f"{run.engine}: {outcome(run.gradients is not None, None if found.equal_to(run) else run.largest)}"


def outcome(gradients: bool, off: float | None) -> str:
    """Whether the outputs, and the gradients if there are any, are equal; or how far they are off."""
    equal = "equal" if off is None else f"differ by {off:.2g}"
    return f"outputs{' and gradients' if gradients else ''} {equal}"
