"""NC608: parameters that no gradient can reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


class NoGradient(MeasuredRule):
    """Forward uses a trained parameter, and no gradient leads from the result back to it.

    ## What it does
    After a real forward pass, follows autograd's own graph from everything that forward returned. A parameter that requires
    a gradient, that forward used, and that is not found on the way, is reported. What is found and happens to have a zero
    gradient (inside a branch that starts at zero) is healthy.

    ## Why is this bad?
    The optimizer is given the parameter and never moves it. What cuts it off is `detach()`, `.data`, `torch.no_grad()`,
    `argmax`, a comparison, a round trip through numpy, or a result that forward computes and drops.

    ## When it is fine
    Where it is meant (a target network, a codebook that is moved by averages): say so with `requires_grad_(False)`.

    ## References
    - PyTorch documentation, Autograd mechanics: locally disabling gradient computation.
    """

    code = "NC608"
    name = "no-gradient"
    severity = Severity.ERROR
    plain = "A part of it gets no gradient, and never learns"
    BAD = (
        Example(
            "a detached encoder",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(F.relu(self.encoder(x)).detach())

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "a branch that starts at zero",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)
        nn.init.zeros_(self.down.weight)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))

model = nn.Sequential(Block(), Block(), nn.Linear(32, 4))
""",
            "8x32",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all parameters that are cut off."""
        from netcheck.rules.measured import profiles

        lost = gradients.unreached
        if not lost:
            return
        names = ", ".join(lost[:4]) + (f" and {len(lost) - 4} more" if len(lost) > 4 else "")
        parameters = dict(graph.model.named_parameters(remove_duplicate=False))
        trained = sum(parameter.requires_grad for parameter in graph.model.parameters())
        size = sum(parameters[name].numel() for name in lost if name in parameters)
        yield self.finding(
            f"no gradient reaches {names} from the result",
            help="remove what cuts it off (detach, no_grad, argmax, .data), or freeze it with `requires_grad_(False)`",
            evidence=Evidence(
                len(lost),
                "parameters",
                f"{len(lost)} of {trained} trained parameters ({size:,} scalars) are cut off",
                limit=0,
            ),
            at=profiles.users_of(lost, graph),
            count=len(lost),
            verdict=Verdict.CONFIRMED,
        )
