"""NC914: a custom autograd function whose backward is not the derivative of its forward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import CallRule, Example

if TYPE_CHECKING:
    from netcheck.figures.calls import Calls
    from netcheck.trace.graph import ModelGraph


def net(forward: str, backward: str) -> str:
    """A model with a function of its own, of this forward and backward (of the saved `x` and the gradient `g`)."""
    return f"""
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return {forward}

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return {backward}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(Own.apply(self.layer(x)))

model = Net()
"""


class WrongBackward(CallRule):
    """The backward of a custom autograd function is not the derivative of its forward.

    ## What it does
    Applies each `torch.autograd.Function` of the model in double precision to Gaussian arguments of the shapes that it has in
    forward, and compares the slope that its backward gives in three directions with central differences of its forward. An
    estimator that lets a gradient through where the forward is flat (straight-through rounding, signs, spikes) is information.
    A function that hands its input on and changes the gradient alone (reversal, scaling, clipping) is meant, and silent.

    ## Why is this bad?
    Nothing else notices: the loss falls, along a direction that is not its gradient, and further with every layer that stands
    before the function. A factor or a transposition that was forgotten in backward looks like a learning rate that does not
    suit.

    ## When it is fine
    Where the gradient is meant to be another one, as in surrogate gradients.

    ## Evidence
    The relative difference of the two slopes.

    ## References
    - PyTorch documentation of torch.autograd.gradcheck.
    - Bengio et al. 2013, Estimating or Propagating Gradients Through Stochastic Neurons: the straight-through estimator.
    """

    code = "NC914"
    name = "wrong-backward"
    severity = Severity.ERROR
    plain = "A backward written by hand is not the derivative of its forward, so it learns in a wrong direction"
    BAD = (
        Example("a factor is missing", net("x * x", "g * x"), "4x8"),
        Example("straight through a sign (information)", net("x.sign()", "g"), "4x8"),
    )
    GOOD = (
        Example("the derivative", net("x * x", "2 * g * x"), "4x8"),
        Example("a reversed gradient", net("x.clone()", "-g"), "4x8"),
    )

    def check(self, calls: Calls, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each function whose backward is another's."""
        for found in calls.derivatives:
            name, through = found.operation.target, found.kind == "straight-through"
            if found.kind not in ("wrong", "straight-through"):
                continue
            yield self.finding(
                f"{name} lets a gradient through where its forward is flat: a straight-through estimator"
                if through
                else f"the backward of {name} is not the derivative of its forward",
                help="nothing need be done if it is meant; the gradient is then an estimate"
                if through
                else f"hold it to torch.autograd.gradcheck({name}.apply, ...) in double precision; look for a factor, a sign "
                "or a transposition that is missing",
                evidence=Evidence(found.off, "relative", f"slopes differ by {found.off:.2g} (relative, float64)", limit=1e-3),
                at=[found.operation],
                severity=Severity.INFO if through else None,
                verdict=Verdict.CONFIRMED,
            )
