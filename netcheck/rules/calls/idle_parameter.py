"""NC916: a parameter whose gradient is always zero."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import CallRule, Example

if TYPE_CHECKING:
    from netcheck.figures.calls import Calls
    from netcheck.trace.graph import ModelGraph

_NAMED = 4  # parameters that a finding names


def gated(factor: str) -> str:
    """Two layers, the second of which counts with this factor."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate = nn.Linear(8, 4), nn.Linear(8, 4)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.body(x) + {factor} * self.gate(x)

model = Net()
"""


class IdleParameter(CallRule):
    """A trained parameter is reached by a gradient that is exactly zero, and stays zero: it does nothing.

    ## What it does
    Where the passes of the probe leave a doubt, takes the gradient of the result of a call in eval mode at every parameter.
    Where it is exactly zero as a whole, all weights are moved a little and it is taken again: what only waits behind a start at
    zero (a last layer of zeros in a residual branch) moves then, and is silent. So are models that choose by their values what
    they use.

    ## Why is this bad?
    The parameter costs memory, and its layer time, and nothing that it holds matters: a factor that is zero, a clamp that
    never lets go, a softmax over one entry.

    ## When it is fine
    Where the factor is a schedule's, and rises later.

    ## Evidence
    How many parameters have a gradient of exactly zero.

    ## References
    - Goyal et al. 2017, Accurate, Large Minibatch SGD, section 5.1: branches that start at zero, which are not meant here.
    """

    code = "NC916"
    name = "idle-parameter"
    severity = Severity.WARNING
    plain = "A parameter does nothing, and stays that way"
    explained_by = ("NC105", "NC108", "NC305", "NC502", "NC509", "NC605", "NC606", "NC608", "NC609", "NC601")
    BAD = (Example("a factor of zero", gated("0.0"), "8x8"),)
    GOOD = (Example("a trained factor that starts at zero", gated("self.share"), "8x8"),)

    def check(self, calls: Calls, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such parameters."""
        if not calls.idle:
            return
        from netcheck.rules.measured import profiles

        more = f" and {len(calls.idle) - _NAMED} more" if len(calls.idle) > _NAMED else ""
        yield self.finding(
            f"the gradient of {', '.join(calls.idle[:_NAMED])}{more} is always exactly zero",
            help="look for a factor of zero, a clamp or a comparison between it and the result; or leave it out",
            evidence=Evidence(
                len(calls.idle), "parameters", f"{len(calls.idle)} gradients are exactly zero, and stay so", limit=0
            ),
            at=profiles.users_of(calls.idle, graph),
            count=len(calls.idle),
            verdict=Verdict.CONFIRMED,
        )
