"""NC204: a drop probability that leaves almost nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.dropouts import is_on, rate

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_HIGH = 0.8
_HALF = 0.5
_FEW = 16  # channels: Dropout2d(0.5) on 12 did not train


class DropoutRate(StaticRule):
    """Dropout with a probability so high that almost nothing of the signal is left; with 1, nothing is.

    ## What it does
    Reads the drop probability of every dropout, also inside attention and between the layers
    of a recurrent net. Reported are 0.8 and more, and whole-channel dropout of half of 16 or fewer channels;
    1 is an error.

    ## Why is this bad?
    PyTorch's p is the share that is dropped, not the share that is kept (as in the paper
    and in old TensorFlow), so `p=0.9` meant as "keep 0.9" trains on a tenth of the units. With p = 1 the
    output is 0 and no gradient passes. Of 12 channels at p = 0.5 every 200th sample keeps fewer than 3.

    ## When it is fine
    Rates up to 0.7, the usual 0.5 among them; whole channels of many.

    ## Evidence
    The probability, and the number of channels left on average. In the calibration set
    Dropout2d(0.5) on 12 channels did not train.

    ## References
    - Srivastava et al. 2014, Dropout, appendix A.4: rates of 0.2 for inputs, 0.5 for hidden units.
    """

    code = "NC204"
    name = "dropout-rate"
    severity = Severity.ERROR
    plain = "Dropout throws almost everything away, so hardly any signal is left to learn from"
    THRESHOLDS = (
        Threshold("rate", _HIGH, "drop probability from which a rate is high"),
        Threshold("channels", _FEW, "channels that are too few to drop half of them whole"),
    )
    BAD = (
        Example(
            "the share to keep, given as the share to drop",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.9), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "everything is dropped",
            """
class Hidden(nn.Linear):
    def forward(self, x):
        return F.dropout(F.relu(super().forward(x)), 1.0, self.training)

model = nn.Sequential(Hidden(16, 32), nn.Linear(32, 4))
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "one half",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "half of many channels",
            """
model = nn.Sequential(
    nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Dropout2d(0.5), nn.Conv2d(64, 8, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(8 * 16, 4),
)
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for those that drop everything, one for high rates, one for few channels."""
        rates = list(training_rates(graph))
        whole = [(node, p) for node, p in rates if p >= 1]
        limit = self.limit("rate")
        high = [(node, p) for node, p in rates if limit <= p < 1]
        few = [(node, p) for node, p in rates if _HALF <= p < limit and channels(node) <= self.limit("channels")]
        if whole:
            yield self.found(whole, "dropout with p = 1: nothing passes, and no gradient", Severity.ERROR)
        if high:
            p = max(p for _, p in high)
            yield self.found(high, f"dropout drops {p:.0%} of its input", Severity.WARNING)
        if few:
            node, p = min(few, key=lambda each: channels(each[0]))
            count = channels(node)
            message = f"dropout of whole channels leaves {(1 - p) * count:.0f} of {count} on average"
            yield self.found(few, message, Severity.WARNING)

    def found(self, places: list[tuple[Node, float]], message: str, severity: Severity) -> Finding:
        """One finding at these dropouts."""
        p = max(p for _, p in places)
        limit = self.limit("rate")
        keep = f"; if {p:g} was meant as the share to keep, write `p={1 - p:.2g}`" if limit <= p < 1 else ""
        return self.finding(
            message,
            help=f"use a rate of 0.1 to 0.5, for whole channels of few at most 0.2{keep}",
            evidence=Evidence(p, "drop probability", f"p = {p:g}, limit {limit:g}", limit=limit),
            at=[node for node, _ in places],
            severity=severity,
            verdict=Verdict.CONFIRMED,
        )


def training_rates(graph: ModelGraph) -> Iterator[tuple[Node, float]]:
    """Every operation that drops something in training, with its rate."""
    for node in graph:
        p = rate(node) if node.live and node.depends else None
        if p and (node.module is not None or is_on(node)):
            yield node, p


def channels(node: Node) -> int:
    """How many units a dropout of whole channels chooses from; more than few for any other."""
    shape = node.shape or ()
    return shape[1] if node.kind is Kind.DROPOUT and "channel" in node.detail and len(shape) > 2 else 10**9
