"""NC207: channel dropout of a sequence that stands as (N, T, C)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.dropouts import dropouts
from netcheck.trace.questions.neighbours import before, ends

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_ELEMENTWISE = frozenset((
    Kind.ACTIVATION, Kind.NORM, Kind.DROPOUT, Kind.IDENTITY, Kind.CAST, Kind.PART, Kind.SCALE, Kind.SHIFT, Kind.POINTWISE,
))  # fmt: skip


def net(dropped: str) -> str:
    """Embedded words, dropped like this, before an LSTM."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.drop = nn.Embedding(50, 8), nn.Dropout1d(0.3)
        self.rnn, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, tokens):
        x = self.embed(tokens)  # (N, T, 8)
        return self.head(self.rnn({dropped})[0][:, -1])

model = Net()
"""


class DropoutOverSteps(StaticRule):
    """Channel dropout (nn.Dropout1d, nn.Dropout2d) of a sequence (N, T, C): it drops whole steps, not features.

    ## What it does
    Looks at dropout of channels whose input has three dimensions, the last of which is that of the features by what made it (an
    embedding, a layer that works on it) and by all that takes it.

    ## Why is this bad?
    Dimension 1 is taken for the channels: all features of a word or a step are dropped together, so that it is gone, where
    spatial dropout was to drop a feature at all steps alike. nn.Dropout2d will in future take (N, T, C) for one sample.

    ## When it is fine
    Where whole steps are to be dropped: word dropout.

    ## Evidence
    The rate, and the shape.

    ## References
    - Tompson et al. 2015, Efficient Object Localization Using Convolutional Networks, section 3.2: spatial dropout.
    - PyTorch documentation of torch.nn.Dropout1d: the input is (N, C, L).
    """

    code = "NC207"
    name = "dropout-over-steps"
    severity = Severity.WARNING
    plain = "Its dropout takes away whole steps of a sequence, where it should take features"
    BAD = (Example("embedded words", net("self.drop(x)"), "tokens=long:3x6"),)
    GOOD = (Example("moved to where the channels are", net("self.drop(x.transpose(1, 2)).transpose(1, 2)"), "tokens=long:3x6"),)

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such dropouts."""
        found = [(node, p) for node, p in dropouts(graph) if node.detail == "channel" and works_on_sequence(node)]
        if not found:
            return
        node, p = found[0]
        yield self.finding(
            f"{node.target}(p = {p:g}) of {node.shape} drops whole steps: dimension 1 has the steps, not the features",
            help="move the features there and back: `drop(x.transpose(1, 2)).transpose(1, 2)`",
            evidence=Evidence(p, "dropout rate", f"p = {p:g} on {(node.shape or (0, 0))[1]} steps of a sample", limit=0),
            at=[node for node, _ in found],
            verdict=Verdict.CONFIRMED,
        )


def works_on_sequence(node: Node) -> bool:
    """Whether a value is (N, T, C) by what made it and by all that takes it."""
    source = before(node, _ELEMENTWISE)
    takers = ends(node, _ELEMENTWISE)
    made = source is not None and (source.kind in (Kind.EMBEDDING, Kind.LINEAR) or is_batched(source))
    return (
        made
        and len(node.shape or ()) == 3
        and bool(takers)
        and all(each.kind is Kind.LINEAR or is_batched(each) for each in takers)
    )


def is_batched(node: Node) -> bool:
    """Whether it is a recurrence or an attention over (N, T, C)."""
    return node.kind in (Kind.RECURRENT, Kind.ATTENTION) and bool(getattr(node.module, "batch_first", False))
