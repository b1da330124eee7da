"""NC206: dropout between the layers of a recurrent layer that has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph


def net(layers: int) -> str:
    """An LSTM of so many layers, with dropout."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 16, num_layers={layers}, dropout=0.5, batch_first=True), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

model = Net()
"""


class DropoutWithoutEffect(StaticRule):
    """A recurrent layer of one layer is given a dropout rate: it drops between layers, and there are none.

    ## Why is this bad?
    The net is not regularized as its settings say. What was meant is usually dropout on the layer's output, or on its input.

    ## When it is fine
    Where the number of layers is a setting that happens to be 1.

    ## Evidence
    The rate, and the number of layers.

    ## References
    - PyTorch documentation of torch.nn.LSTM: dropout is introduced "on the outputs of each LSTM layer except the last layer".
    """

    code = "NC206"
    name = "dropout-without-effect"
    severity = Severity.INFO
    plain = "A recurrent layer's dropout does nothing, since it has one layer only"
    BAD = (Example("an LSTM of one layer", net(1), "4x5x8"),)
    GOOD = (Example("of two", net(2), "4x5x8"),)

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such layers."""
        found = [
            node
            for node in graph
            if node.kind is Kind.RECURRENT and getattr(node.module, "num_layers", 2) == 1 and getattr(node.module, "dropout", 0.0)
        ]
        if not found:
            return
        rate = getattr(found[0].module, "dropout", 0.0)
        yield self.finding(
            f"{found[0].target} has one layer, and dropout={rate:g}, which drops between layers: it drops nothing",
            help="drop its output, self.drop(output), or give it num_layers=2",
            evidence=Evidence(rate, "dropout rate", f"rate {rate:g} between the layers of 1", limit=0),
            at=found,
            verdict=Verdict.CONFIRMED,
        )
