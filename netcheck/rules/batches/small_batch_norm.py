"""NC706: batch normalization on few samples a device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph

_FEW = 8
MAPS = "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))"
VECTORS = "model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))"


class SmallBatchNorm(BatchRule):
    """Batch normalization takes its statistics from few samples, since each device has its own.

    ## What it does
    Divides the batch over the devices and looks at the batch normalizations: fewer than 8 samples on a device is a warning,
    one value for each channel on every device an error. `nn.SyncBatchNorm` is left alone.

    ## Why is this bad?
    Mean and variance of few samples are noise, and evaluation uses others, from the running averages. Over one value they are
    nothing at all: `nn.BatchNorm1d` raises, and what does not raise gives out zeros.

    ## When it is fine
    Where the statistics are frozen (evaluation mode), as in detectors that train on two images a device.

    ## Evidence
    The samples on each device. Wu & He measured ResNet-50 on ImageNet at 32, 16, 8, 4 and 2 images a device: 23.6, 23.7, 24.8,
    27.3 and 34.7 % error; the step from 8 to 4 is the first that costs more than two points.

    ## References
    - Wu & He 2018, Group Normalization, table 2.
    - Peng et al. 2018, MegDet: batch normalization over several devices.
    """

    code = "NC706"
    name = "small-batch-norm"
    severity = Severity.ERROR
    plain = "Each device normalizes over too few samples to know their mean and spread"
    THRESHOLDS = (Threshold("samples", _FEW, "samples on a device below which they are too few"),)
    BAD = (
        Example("16 images over 4 devices", MAPS, "8x3x8x8", devices=4, batch_size=16),
        Example("one vector on each device", VECTORS, "4x8", devices=4, batch_size=4),
    )
    GOOD = (
        Example("64 images over 4 devices", MAPS, "8x3x8x8", devices=4, batch_size=64),
        Example(
            "synchronized",
            f"{MAPS}\nmodel = nn.SyncBatchNorm.convert_sync_batchnorm(model)",
            "8x3x8x8",
            devices=4,
            batch_size=16,
        ),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """The batch normalizations against the samples of each device."""
        samples, least = batches.samples, self.limit("samples")
        if batches.devices < 2 or not batches.norms or not samples or min(samples) >= least:
            return
        most = max(samples)
        single = [norm for norm in batches.norms if norm.values is not None and norm.values * most == 1]
        shares = f"{min(samples)}" if min(samples) == most else f"{min(samples)} to {most}"
        what = "one value for each channel" if single else f"{shares} of {batches.batch_size} samples"
        yield self.finding(
            f"batch normalization sees {what} on each of {batches.devices} devices",
            help="nn.SyncBatchNorm.convert_sync_batchnorm(model) under DistributedDataParallel, batches of "
            f"{math.ceil(least) * batches.devices} or more, or nn.GroupNorm",
            evidence=Evidence(
                min(samples), "samples", f"{min(samples)} of {batches.batch_size} samples on a device", limit=least
            ),
            at=single or batches.norms,
            severity=Severity.ERROR if single else Severity.WARNING,
            verdict=Verdict.CONFIRMED,
        )
