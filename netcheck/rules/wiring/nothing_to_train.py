"""NC907: forward gives nothing that a loss could be computed from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class NothingToTrain(StaticRule):
    """Forward returns no tensor, or only integers and truth values, or there are no parameters: nothing can be trained.

    ## What it does
    Looks at what forward returned and at what the model holds. A model without parameters is only noted, and so is what another
    method returns that stands for forward (`translate`).

    ## Why is this bad?
    A loss needs a floating-point tensor that depends on the parameters. A forgotten `return` gives None, and the error then
    appears far away, in the loss; an argmax inside forward gives class numbers, which have no gradient.

    ## When it is fine
    In a module that only transforms data, or that computes a loss from what it is given.

    ## Evidence
    Read off the traced graph: the number of floating-point tensors that forward returned, and of parameters.

    ## References
    - PyTorch documentation, Autograd mechanics: only floating-point and complex tensors can require gradients.
    """

    code = "NC907"
    name = "nothing-to-train"
    severity = Severity.WARNING
    plain = "There is nothing in it to train, or no result to train it by"
    BAD = (
        Example(
            "a forgotten return",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.layer(x))

model = Net()
""",
            "4x8",
        ),
    )
    GOOD = (
        Example("logits are returned", "model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))", "4x8"),
        Example(
            "class numbers beside the logits",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        logits = self.layer(x)
        return {"logits": logits, "classes": logits.argmax(dim=1)}

model = Net()
""",
            "4x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding: for the output if that is wrong, else for missing parameters."""
        from netcheck.load.ways import is_entered

        returned = graph.returned
        is_measure = next(graph.model.parameters(), None) is None and not graph.is_part  # such as of accuracy
        learnable = [node for node in returned if node.dtype and (node.dtype.is_floating_point or node.dtype.is_complex)]
        if not learnable:
            what = f"only tensors of {', '.join(sorted({str(n.dtype).removeprefix('torch.') for n in returned}))}"
            yield self.finding(
                f"forward of {graph.class_name} returns {what if returned else 'no tensor'}: no loss can be computed from it",
                help="return the logits, and take the argmax or the threshold outside"
                if returned
                else "return the output at the end of forward: `return x`",
                evidence=Evidence(0, "tensors", f"0 floating-point tensors among {len(returned)} returned", limit=1),
                at=returned or last_call(graph),
                places=[graph.built_at("")],
                severity=Severity.INFO if is_measure or graph.is_part or is_entered(graph.model) else Severity.WARNING,
                verdict=Verdict.CONFIRMED,
            )
        elif is_measure and not graph.is_part:
            yield self.finding(
                f"{graph.class_name} has no parameters: there is nothing to train",
                help="register what it should learn: `self.weight = nn.Parameter(...)`, `self.layer = nn.Linear(...)`",
                evidence=Evidence(0, "parameters", "0 parameters", limit=1),
                at=last_call(graph),
                places=[graph.built_at("")],
                severity=Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )


def last_call(graph: ModelGraph) -> list[Node]:
    """The last operation of forward: where a person looks for the missing return."""
    return [node for node in graph if node.op.startswith("call")][-1:]
