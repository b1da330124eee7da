"""NC801: a training step that does not fit the device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import CostRule, Example

if TYPE_CHECKING:
    from netcheck.figures.cost import Cost
    from netcheck.figures.fit import Inference
    from netcheck.trace.graph import ModelGraph, Node


class Memory(CostRule):
    """A training step needs more memory than the device has.

    ## What it does
    Adds up parameters, gradients, the optimizer's state and what the activations take at their highest, at the batch
    of the inputs or of `--batch-size`, and compares with `--device-memory` (by default the accelerator's own). An error
    if not even SGD with momentum fits, a warning if only Adam does not. Without an accelerator and without
    `--device-memory` it says nothing. With `--devices` the batch is the largest share: each device holds all parameters,
    and the activations of its own samples.

    ## Why is this bad?
    Training ends with an out-of-memory error: at once, or hours later with the first larger batch.

    Where a device is named, the step is run forward and backward on fake tensors, and the help says what would make it fit:
    another optimizer, bfloat16 autocast, smaller batches whose gradients are accumulated, checkpoints, FSDP2.

    With `--inference` it is what the model takes to be used: weights, the cache of keys and values, and one forward.

    ## What is not in the sum
    The workspace of convolution libraries, the allocator's rounding, the loss, and what the driver keeps. Leave a tenth of
    the device free.

    ## Evidence
    On twelve networks, in float32 and under bfloat16 autocast, checkpointed or not, in one batch or accumulated, the peak is
    within 1 % of the tensors that torch holds at its highest, and under FSDP2 within 1 % of what FSDPMemTracker counts
    (`tests/measure/test_ways.py`).

    ## References
    - Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost.
    - Rajbhandari et al. 2020, ZeRO, section 3: where the memory goes.
    """

    code = "NC801"
    name = "memory"
    severity = Severity.ERROR
    plain = "It needs more memory than the device has"
    BAD = (
        Example(
            "activations of a large batch",
            """
model = nn.Sequential(
    nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
)
""",
            "256x3x64x64",
            "1GiB",
        ),
        Example(
            "parameters alone are too many",
            "model = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024))",
            "1x1024",
            "64MiB",
        ),
    )
    GOOD = (
        Example(
            "the same net on a smaller batch",
            """
model = nn.Sequential(
    nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
)
""",
            "64x3x64x64",
            "1GiB",
        ),
        Example(
            "frozen layers need neither gradient nor optimizer",
            """
model = nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 1024), nn.ReLU(), nn.Linear(1024, 10))
for layer in (model[0], model[2]):
    layer.requires_grad_(False)
""",
            "1x1024",
            "64MiB",
        ),
    )

    def concerned(self, graph: ModelGraph, device_memory: int | None) -> bool:
        """Where the device is known."""
        return device_memory is not None

    def check(self, cost: Cost, graph: ModelGraph) -> Iterable[Finding]:
        """The peak with each optimizer against the device."""
        limit = cost.device_memory
        if limit is None:
            return
        if cost.inference is not None:
            yield from self.used(cost.inference, limit)
            return
        too_much = [name for name in ("sgd", "adam") if cost.memory[name].peak > limit]
        if not too_much:
            return
        hopeless = "sgd" in too_much
        name, label = ("sgd", "SGD with momentum") if hopeless else ("adam", "Adam")
        peak = cost.memory[name].peak
        batch = f" of {cost.batch_size}" if cost.batch_size else ""
        yield self.finding(
            f"a training step on a batch{batch} needs {gibibytes(peak)} with {label}, and the device has {gibibytes(limit)}",
            help=way_out(cost, hopeless),
            evidence=Evidence(peak, "bytes", breakdown(cost, name), limit=limit),
            at=largest_savers(cost, graph),
            severity=Severity.ERROR if hopeless else Severity.WARNING,
            verdict=Verdict.CONFIRMED,
            count=1,
        )

    def used(self, used: Inference, limit: int) -> Iterable[Finding]:
        """What it takes to be used against the device."""
        if used.nbytes <= limit:
            return
        at = f" at {used.context:,} tokens" if used.cache else ""
        parts = (("weights", used.weights), ("cache", used.cache), ("activations", used.working))
        yield self.finding(
            f"to be used on a batch of {used.samples}{at} it needs {gibibytes(used.nbytes)}, "
            f"and the device has {gibibytes(limit)}",
            help=to_be_used(used),
            evidence=Evidence(
                used.nbytes, "bytes", ", ".join(f"{name} {gibibytes(number)}" for name, number in parts if number), limit=limit
            ),
            verdict=Verdict.CONFIRMED,
        )


def to_be_used(used: Inference) -> str:
    """What to change so that it can be used there."""
    if used.most_context:
        return f"keep at most {used.most_context:,} tokens of each sample, fewer samples, or keys and values in 8 bits"
    return "load the weights in bfloat16, 8 or 4 bits, use fewer samples at a time, or spread the model over several devices"


def way_out(cost: Cost, hopeless: bool) -> str:
    """What to change so that it fits."""
    if cost.fit is not None and cost.fit.ways:
        best, *others = (" with ".join(change.what for change in way.changes) for way in cost.fit.ways)
        return f"cheapest: {best}" + (f"; else {', or '.join(others[:2])}" if others else "")
    fits = {name: samples for name, samples in (cost.largest_batch or {}).items() if samples > 0}
    if fits:
        names = {"sgd": "SGD", "adam": "Adam"}
        batches = " or ".join(f"{samples} with {names[name]}" for name, samples in fits.items())
        return f"use batches of at most {batches}, and accumulate gradients over several; or checkpoint activations"
    if not hopeless:
        return "train with SGD, with an optimizer whose state is smaller, or shard the state over several devices"
    return "no batch fits: use a smaller model, train few of its parameters, or shard it over several devices"


def breakdown(cost: Cost, name: str) -> str:
    """Where the memory goes, as a phrase."""
    need = cost.memory[name]
    parts = (("parameters", need.parameters), ("optimizer", need.optimizer))
    moment = (
        ("activations and gradients", need.working)
        if need.working > need.gradients + need.update
        else ("gradients and the update", need.gradients + need.update)
    )
    return ", ".join(f"{label} {gibibytes(number)}" for label, number in (*parts, moment))


def largest_savers(cost: Cost, graph: ModelGraph) -> list[Node]:
    """The operations of the three modules that save most activations."""
    paths = [row.path for row in sorted(cost.layers, key=lambda row: -row.saved)[:3] if row.saved]
    by_path = {node.path: node for node in reversed(graph.nodes) if node.op.startswith("call") and node.depends}
    return [by_path[path] for path in paths if path in by_path]


def gibibytes(number: int) -> str:
    """Bytes as a person compares them."""
    return f"{number / 2**30:.2f} GiB" if number >= 2**30 / 10 else f"{number / 2**20:.1f} MiB"
