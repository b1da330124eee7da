"""NC711: samples that DistributedSampler repeats or leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph

NET = "model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))"


class SamplerRepeats(BatchRule):
    """DistributedSampler repeats samples, or drops some, so that all processes get equally many.

    ## What it does
    Shares N samples among D processes as `DistributedSampler` does: each gets ⌈N/D⌉, and the first samples come a second
    time to fill up; with `drop_last=True` each gets ⌊N/D⌋, and the rest is left out. It is information.

    ## Why is this bad?
    In training it is not. In evaluation the repeated samples count twice: an accuracy over 50 samples on 4 devices is one over
    52.

    ## When it is fine
    In training, where the order is drawn anew in each epoch (`set_epoch`).

    ## Evidence
    The samples that come twice.

    ## References
    - torch/utils/data/distributed.py.
    """

    code = "NC711"
    name = "sampler-repeats"
    severity = Severity.INFO
    plain = "Some samples are used twice or not at all when several processes share the data"
    BAD = (
        Example("50 samples over 4 processes", NET, "2x8", devices=4, batch_size=50),
        Example("fewer samples than processes", NET, "2x8", devices=8, batch_size=3),
    )
    GOOD = (
        Example("52 over 4", NET, "2x8", devices=4, batch_size=52),
        Example("one process", NET, "2x8", devices=1, batch_size=50),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Samples that come twice."""
        if not batches.duplicates or batches.devices < 2:
            return
        size, each = batches.batch_size, batches.sampler[0]
        dropped = size % batches.devices
        yield self.finding(
            f"DistributedSampler gives each of {batches.devices} processes {each} of {size} samples: " + again(batches),
            help=f"in evaluation gather the outputs and cut them to {size} before you count; drop_last=True leaves {dropped} "
            "out instead",
            evidence=Evidence(batches.duplicates, "samples", f"{batches.duplicates} samples added to {size}", limit=0),
            verdict=Verdict.CONFIRMED,
        )


def again(batches: Batches) -> str:
    """How often samples come: with more processes than samples, more than twice."""
    size, more = batches.batch_size, batches.duplicates
    if more > size:
        return f"they come up to {-(-batches.devices // size)} times" if size > 1 else f"it comes {batches.devices} times"
    return f"{more} {'come' if more > 1 else 'comes'} twice"
