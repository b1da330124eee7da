"""NC205: dropout after the last weight layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.dropouts import dropouts
from netcheck.trace.questions.neighbours import UNCHANGED, before, results

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_AFTER = UNCHANGED | {Kind.SOFTMAX, Kind.ACTIVATION, Kind.SCALE, Kind.SHIFT, Kind.INDEX}
_BEFORE = UNCHANGED | {Kind.DROPOUT, Kind.SCALE, Kind.SHIFT, Kind.INDEX}


class DropoutOnOutput(StaticRule):
    """Dropout on the outputs themselves: at each step some of the predictions are replaced by zero.

    ## What it does
    Looks for a dropout between the last linear or convolutional layer and a result of forward.

    ## Why is this bad?
    No layer follows that could make up for what is missing. A dropped logit is 0 whatever
    the input, and the others are scaled up: the loss is computed on predictions that the model never makes,
    and half of the gradient is noise.

    ## When it is fine
    Where the result is no prediction: features behind an activation, a block whose output
    has the shape of its input and goes on into the rest of a model.

    ## Evidence
    The share of outputs that are replaced by 0.

    ## References
    - Srivastava et al. 2014, Dropout: on input and hidden units.
    """

    code = "NC205"
    name = "dropout-on-output"
    severity = Severity.WARNING
    plain = "Dropout replaces some of the predictions themselves by zero at each step"
    BAD = (
        Example(
            "after the classifier",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4), nn.Dropout(0.5))
""",
            "8x16",
        ),
        Example(
            "before the softmax",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.dropout(self.fc2(F.relu(self.fc1(x))), training=self.training)
        return F.log_softmax(x, dim=1)

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "before the classifier",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "features behind an activation",
            """
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.5))
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all results of a model that are dropped from."""
        found = list(dropped_results(graph))
        if not found or graph.is_part:
            return
        node, p, _ = max(found, key=lambda each: each[1])
        surely = any(sure for *_, sure in found)
        yield self.finding(
            f"dropout after the last layer: {p:.0%} of the outputs are replaced by 0 in training",
            help="drop from the hidden units instead, before the last layer",
            evidence=Evidence(p, "of the outputs", f"p = {p:g} on outputs of shape {node.shape}", limit=0.0),
            at=dict.fromkeys(node for node, *_ in found),
            severity=Severity.WARNING if surely else Severity.INFO,
            verdict=Verdict.CONFIRMED,
        )


def dropped_results(graph: ModelGraph) -> Iterator[tuple[Node, float, bool]]:
    """Each dropout on a result, its rate, and whether the result is a prediction for sure: a vector, or a
    probability.
    """
    rates = dict(dropouts(graph))
    given = {source.shape for source in graph.inputs}
    for result, node in results(graph, _AFTER):
        if node not in rates or node.shape in given:
            continue
        layer = before(node, _BEFORE)
        if layer is not None and layer.kind in (Kind.LINEAR, Kind.CONV):
            is_probability = result.kind in (Kind.SOFTMAX, Kind.ACTIVATION)
            yield node, rates[node], is_probability or len(layer.shape or ()) <= 2
