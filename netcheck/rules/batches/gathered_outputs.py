"""NC713: results that nn.DataParallel puts together in another way than forward gave them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches, Gathered
    from netcheck.trace.graph import ModelGraph


def net(result: str) -> str:
    """A recurrent model that returns this of its outputs `y` and its last state `h`."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(4, 8, 2, batch_first=True)

    def forward(self, x):
        y, h = self.gru(x)
        return {result}

model = Net()
"""


class GatheredOutputs(BatchRule):
    """nn.DataParallel puts results of the devices together along dimension 0, which is not the batch of this one.

    ## What it does
    Runs the model on fake tensors at two batch sizes, to see which dimension of each result grows with the batch, and works
    out what `torch.nn.parallel.gather` makes of it. Asked for with `--strategy dp`.

    ## Why is this bad?
    The state of a recurrent net (layers, B, H) of two devices becomes (2 layers, B / 2, H): a state of other layers for half
    of the samples. Nothing raises, or what comes later does. On what is no tensor (a number, a text) gather itself raises.

    ## When it is fine
    A loss, a number in a tensor, comes back as a vector with one for each device: `.mean()` of it is a loss again, and is
    information here.

    ## Evidence
    The shapes on one device and gathered.

    ## References
    - torch/nn/parallel/scatter_gather.py, gather.
    """

    code = "NC713"
    name = "gathered-outputs"
    severity = Severity.ERROR
    plain = "Results of several devices are put together the wrong way"
    BAD = (
        Example("the state of a recurrent net", net("y, h"), "8x5x4", devices=2, strategy="dp"),
        Example("a number that is no tensor", net('{"y": y, "length": 5}'), "8x5x4", devices=2, strategy="dp"),
    )
    GOOD = (
        Example("the state with its batch first", net("y, h.transpose(0, 1)"), "8x5x4", devices=2, strategy="dp"),
        Example("under DistributedDataParallel nothing is gathered", net("y, h"), "8x5x4", devices=2),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such results."""
        wrong = [each for each in batches.gathered if each.shape or not each.result]
        if not batches.gathered or batches.devices < 2:
            return
        shown = (wrong or list(batches.gathered))[:3]
        yield self.finding(
            f"over {batches.devices} devices nn.DataParallel does not give back what forward returns: "
            + "; ".join(map(told, shown)),
            help="return tensors whose dimension 0 is the batch (h.transpose(0, 1)), or use DistributedDataParallel, which "
            "gathers nothing"
            if wrong
            else "take the mean of the losses that come back, or use DistributedDataParallel",
            evidence=Evidence(len(batches.gathered), "results", f"{len(batches.gathered)} gathered otherwise", limit=0),
            places=[graph.built_at("")],
            severity=Severity.ERROR if wrong else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )


def told(one: Gathered) -> str:
    """One result in words."""
    name = f"result{one.path}" if one.path else "the result"
    shapes = f" {one.shape} becomes {one.result}" if one.result else ""
    return f"{name}{shapes} ({one.why})"
