"""NC308: a batch normalization of steps, not of features."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_FEATURES = frozenset((Kind.LINEAR, Kind.EMBEDDING))
_KEEPING = frozenset((Kind.ACTIVATION, Kind.DROPOUT, Kind.POINTWISE, Kind.IDENTITY, Kind.CAST, Kind.SCALE, Kind.PART))


def net(norm: str, use: str) -> str:
    """A net for sequences (N, 7, 16), whose features `h` (N, 7, 32) this uses."""
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.norm, self.head = nn.Linear(16, 32), {norm}, nn.Linear(32, 4)

    def forward(self, x):
        h = self.inner(x)
        h = {use}
        return self.head(torch.relu(h).mean(1))

model = Net()
"""


class NormOverSteps(StaticRule):
    """A batch normalization of sequences (N, T, C) takes its statistics of each step, over samples and features.

    ## What it does
    Looks for an `nn.BatchNorm1d` on values of three dimensions whose last one a linear layer, an embedding or a recurrent layer
    has made: those are the features. The norm takes the second one for them.

    ## Why is this bad?
    PyTorch's channels are dimension 1. As (N, T, C), a BatchNorm1d has a mean, a scale and an offset for each step, which all C
    features share: a feature that is a hundred times as large as the others stays so. And its number of channels is the length
    of the sequence: no other length runs.

    ## When it is fine
    Where each position means something of its own, such as the nodes of one fixed graph.

    ## Evidence
    The number of steps that have statistics, and of features that share them.

    ## References
    - Ioffe & Szegedy 2015, Batch Normalization, section 3: statistics of each activation, over the mini-batch.
    - PyTorch documentation of torch.nn.BatchNorm1d: (N, C) or (N, C, L).
    """

    code = "NC308"
    name = "norm-over-steps"
    severity = Severity.INFO
    plain = "Its batch normalization has statistics of steps instead of features"
    BAD = (Example("features last", net("nn.BatchNorm1d(7)", "self.norm(h)"), "4x7x16"),)
    GOOD = (
        Example("features in dimension 1", net("nn.BatchNorm1d(32)", "self.norm(h.transpose(1, 2)).transpose(1, 2)"), "4x7x16"),
        Example("a layer normalization", net("nn.LayerNorm(32)", "self.norm(h)"), "4x7x16"),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such norms."""
        from torch import nn

        norms = [node for node in graph if isinstance(node.module, nn.BatchNorm1d) and node.live and len(node.shape or ()) == 3]
        found = [node for node in norms if has_features_last(node)]
        if not found:
            return
        _, steps, features = found[0].shape or (0, 0, 0)
        yield self.finding(
            f"{found[0].target} on (N, {steps}, {features}) normalizes each of {steps} steps, over {features} features together",
            help=f"normalize features: nn.LayerNorm({features}), or nn.BatchNorm1d({features}) on h.transpose(1, 2)",
            evidence=Evidence(steps, "steps", f"{steps} steps have statistics, which {features} features share"),
            at=found,
            verdict=Verdict.CONFIRMED,
        )


def has_features_last(norm: Node) -> bool:
    """Whether the last of three dimensions of what is normalized is the features of a layer."""
    from netcheck.trace.questions.neighbours import before

    source = before(norm, _KEEPING)
    if source is None:
        return False
    recurrent = source.kind is Kind.RECURRENT and bool(getattr(source.module, "batch_first", False))
    return recurrent or (source.kind in _FEATURES and len(source.shape or ()) == 3)
