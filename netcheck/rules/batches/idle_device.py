"""NC702: devices that get no samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph

NET = "model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))"


class IdleDevice(BatchRule):
    """Some devices get no samples at all.

    ## What it does
    Cuts a batch of N over D devices as `nn.DataParallel` does, in pieces of ⌈N/D⌉, and counts the pieces: 5 over 4 makes 2, 2
    and 1, so that the fourth device has nothing to do; 17 over 8 makes six pieces.

    ## Why is this bad?
    The devices are paid for, and the step takes as long as that of fewer devices.

    ## When it is fine
    For the last batch of an epoch, which `drop_last=True` leaves out.

    ## Evidence
    The devices that work, by `Tensor.chunk`'s rule.

    ## References
    - torch.Tensor.chunk: "may return fewer than the specified number of chunks".
    """

    code = "NC702"
    name = "idle-device"
    severity = Severity.WARNING
    plain = "Some devices get nothing to do"
    BAD = (
        Example("5 samples over 4 devices", NET, "2x8", devices=4, batch_size=5),
        Example("17 over 8", NET, "2x8", devices=8, batch_size=17),
    )
    GOOD = (
        Example("8 over 4", NET, "2x8", devices=4, batch_size=8),
        Example("uneven, with all at work", NET, "2x8", devices=4, batch_size=7),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Devices without a share."""
        working = len(batches.shards)
        if not working or working >= batches.devices or batches.dropped:
            return
        shares = ", ".join(map(str, batches.samples))
        better = -(-batches.batch_size // batches.devices) * batches.devices
        yield self.finding(
            f"a batch of {batches.batch_size} over {batches.devices} devices keeps {working} of them busy, with {shares}",
            help=f"use batches of {better} or another multiple of {batches.devices}, or fewer devices",
            evidence=Evidence(working, "devices", f"{working} of {batches.devices} devices have samples", limit=batches.devices),
            verdict=Verdict.CONFIRMED,
        )
