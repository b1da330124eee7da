"""NC609: a NaN or an infinity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


class NonFinite(MeasuredRule):
    """A NaN or an infinity arises, and reaches the results of forward, or on the way back a parameter's gradient.

    ## What it does
    Where the head's input, a result, the gradient at the first activations or that of a parameter is not finite, runs the pass
    once more, looks at every number, and names the operation that was the first to make one. Fresh Gaussian inputs are tried
    first; if the inputs that were given give finite numbers, those are used, and nothing is reported. Where nobody said what
    the inputs are like, inputs between 0 and 1 must give one too. Infinities that stay inside (a mask of minus infinity before
    a softmax) are not reported, nor is minus infinity in a result.

    ## Why is this bad?
    One NaN in a gradient makes every weight that it meets NaN, at the first step.

    ## When it is fine
    Never; but inputs that the model is not made for (negative numbers into a logarithm) are not the model's fault.

    ## References
    - PyTorch documentation, `torch.autograd.detect_anomaly`.
    - Goldberg 1991, What every computer scientist should know about floating-point arithmetic.
    """

    code = "NC609"
    name = "non-finite"
    severity = Severity.ERROR
    plain = "A NaN or an infinity arises in it, which makes everything behind it worthless"
    explained_by = ("NC507",)
    BAD = (
        Example(
            "the logarithm of what a rectifier may have set to 0",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(torch.log(F.relu(self.layer(x))).nan_to_num(neginf=0.0) * torch.log(-F.relu(self.layer(x)) - 1))

model = Net()
""",
            "8x16",
        ),
        Example(
            "the slope of a square root at 0, after the head",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 8)

    def forward(self, x):
        z = self.layer(x)
        return (z[:, None] - z[None, :]).square().sum(-1).sqrt()

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "a square root of what is never negative",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(torch.sqrt(F.relu(self.layer(x)) + 1e-6))

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """The first operation that made a number that is not finite."""
        if gradients.first_nonfinite is None:
            return
        node = next((node for node in graph if node.name == gradients.first_nonfinite), None)
        what = node.target if node is not None else gradients.first_nonfinite
        backward = gradients.nonfinite_pass == "backward"
        yield self.finding(
            f"the gradient through {what} is not finite" if backward else f"{what} makes a NaN or an infinity",
            help="keep its input away from where it has no finite value or slope: add a small constant inside, or clamp it",
            evidence=Evidence(
                1,
                "operations",
                f"first in the {gradients.nonfinite_pass} pass",
                limit=0,
            ),
            at=[node] if node is not None else [],
            verdict=Verdict.CONFIRMED,
        )
