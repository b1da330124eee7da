"""NC912: a loss that forward keeps in the model instead of returning it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


def net(lines: str) -> str:
    """A model that is given the targets, with these lines after its logits."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.loss = nn.Linear(16, 4), None

    def forward(self, x, target):
        logits = self.head(x)
        {lines}

model = Net()
"""


class LossLeftBehind(StaticRule):
    """Forward takes targets for a loss that it sets in the model and does not return: copies of the model lose it.

    ## What it does
    Looks for single numbers with a gradient that forward leaves behind in the model, that do not come of what was there
    before, and of which an argument of forward is made that reaches nothing else: the targets.

    ## Why is this bad?
    `nn.DataParallel` runs forward on replicas and throws them away: the loss of the model itself stays what it was, None or
    the last one. A model that holds a result of autograd cannot be deep-copied or pickled, which is how averages of weights
    and whole checkpoints are made, and it keeps the last batch's graph alive. In eval mode, a loss loop that reads it gets
    the last one of training.

    ## When it is fine
    On one device, where only the training loop reads it, right after forward, and nobody copies the model.

    ## Evidence
    How many such numbers there are, and the argument that reaches nothing else.

    ## References
    - torch.nn.DataParallel, warning: "any updates to the running module in forward will be lost".
    """

    code = "NC912"
    name = "loss-left-behind"
    severity = Severity.WARNING
    plain = "It keeps its loss inside, where copies of the model lose it"
    BAD = (Example("kept", net("self.loss = F.mse_loss(logits, target)\n        return logits"), "x=8x16 target=8x4"),)
    GOOD = (
        Example("returned", net("return logits, F.mse_loss(logits, target)"), "x=8x16 target=8x4"),
        Example(
            "only its value is kept",
            net("self.loss = F.mse_loss(logits.detach(), target)\n        return logits"),
            "x=8x16 target=8x4",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such numbers."""
        returned = behind([node for node in graph if node.op == "output"])
        losses = [node for node in graph.kept if node.shape == () and learns(node) and node not in returned]
        targets = [node for node in graph.inputs if node.shape is not None and node not in returned and not node.live]
        found = [loss for loss in losses if behind([loss]).intersection(targets)]
        if not found:
            return
        names = ", ".join(f"`{node.fx.target}`" for node in targets)
        several = len(found) > 1
        yield self.finding(
            f"forward keeps {f'{len(found)} losses' if several else 'a loss'} in the model and does not return "
            f"{'them' if several else 'it'}: nn.DataParallel loses {'them' if several else 'it'}, and the model cannot be copied",
            help="return it beside the outputs, or compute it outside of forward; to look at its value, keep loss.detach()",
            evidence=Evidence(len(found), "losses", f"{names} reaches nothing but what is left behind", limit=0),
            at=found,
            verdict=Verdict.CONFIRMED,
        )


def learns(loss: Node) -> bool:
    """Whether a gradient leads from a value to weights: it holds the graph of the forward pass."""
    return loss.grad_enabled and any(map(is_weight_layer, behind([loss], carrying=True)))


def behind(ends: list[Node], *, carrying: bool = False) -> set[Node]:
    """All that some values are made of, themselves too; with `carrying`, only by ways that pass a gradient."""
    pending, found = [node for node in ends if node.carries or not carrying], set(ends)
    while pending:
        new = [source for source in pending.pop().inputs if source not in found and (source.carries or not carrying)]
        pending += new
        found.update(new)
    return found
