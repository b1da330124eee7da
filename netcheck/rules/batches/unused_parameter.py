"""NC709: parameters that get no gradient, for which DistributedDataParallel waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import BatchRule, Example

if TYPE_CHECKING:
    from netcheck.figures.batches import Batches
    from netcheck.trace.graph import ModelGraph


def net(forward: str) -> str:
    """A model of two layers with this expression for its forward."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return {forward}

model = Net()
"""


class UnusedParameter(BatchRule):
    """A parameter gets no gradient: DistributedDataParallel waits for it.

    ## What it does
    Runs a backward pass from all outputs and lists the parameters that ask for a gradient and get none.

    ## Why is this bad?
    DistributedDataParallel adds up gradients in buckets and sends a bucket when the last of its gradients has come. One that
    never comes holds the bucket back: the next step raises "Expected to have finished reduction in the prior iteration", and
    where only some of the devices leave the parameter out, the others wait.

    ## When it is fine
    On one device. With `find_unused_parameters=True`, at the price of a walk through the graph in every step.

    ## Evidence
    The parameters without a gradient, from a backward pass.

    ## References
    - Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, section 3.2.3.
    """

    code = "NC709"
    name = "unused-parameter"
    severity = Severity.WARNING
    plain = "A parameter gets no gradient, and training on several devices waits for it"
    BAD = (
        Example("a layer that forward leaves out", net("self.first(x)"), "4x8", devices=2),
        Example("a layer behind a detach", net("self.second(self.first(x).detach())"), "4x8", devices=2),
    )
    GOOD = (
        Example("all are used", net("self.second(self.first(x))"), "4x8", devices=2),
        Example(
            "frozen, so that nobody waits",
            net("self.first(x)") + "model.second.requires_grad_(False)\n",
            "4x8",
            devices=2,
        ),
    )

    def check(self, batches: Batches, graph: ModelGraph) -> Iterable[Finding]:
        """Parameters without a gradient."""
        unused = batches.comparison.unused if batches.comparison else ()
        if not unused or batches.devices < 2:
            return
        members = {member.path: member for member in graph.members}
        total = sum(1 for parameter in graph.model.parameters() if parameter.requires_grad)
        named = ", ".join(unused[:3]) + (f" and {len(unused) - 3} more" if len(unused) > 3 else "")
        stalled = "; its second step raised" if batches.comparison and batches.comparison.stalled else ""
        yield self.finding(
            f"{named} {'get' if len(unused) > 1 else 'gets'} no gradient: DistributedDataParallel waits for "
            f"{'them' if len(unused) > 1 else 'it'}",
            help="use or delete them, freeze them with requires_grad_(False), or wrap the model with find_unused_parameters=True",
            evidence=Evidence(
                len(unused), "parameters", f"{len(unused)} of {total} parameters without a gradient{stalled}", limit=0
            ),
            at=[members[name] for name in unused if name in members],
            verdict=Verdict.CONFIRMED,
        )
