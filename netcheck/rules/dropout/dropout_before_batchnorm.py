"""NC203: dropout before a batch normalization."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.dropouts import dropouts
from netcheck.trace.questions.neighbours import weight_layers_after

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_LIMIT = 1.3  # variance ratio from which it is a warning: p = 0.17
_HEAD = 2  # convolutions of a dense classifier (DeepLab, PSPNet, FCN)
_PASSED = frozenset((
    Kind.LINEAR, Kind.CONV, Kind.ACTIVATION, Kind.POOL, Kind.ADD, Kind.CAT, Kind.GATE, Kind.SCALE, Kind.SHIFT,
    Kind.RESHAPE, Kind.INDEX, Kind.CAST, Kind.IDENTITY, Kind.PART, Kind.PAD, Kind.RESIZE, Kind.DROPOUT,
    Kind.REDUCE,
))  # fmt: skip


class DropoutBeforeBatchnorm(StaticRule):
    """A batch normalization follows dropout: its running variance is that of the dropped signal, not of the
    whole one.

    ## What it does
    Follows the value from each dropout of elements or channels; a BatchNorm that it reaches
    before any other norm is reported, also behind further layers. The ratio of the variances is computed from
    p for rectified units.

    ## Why is this bad?
    Dropout raises the variance of what comes after it in training, and not in evaluation.
    The running variance of the BatchNorm is the former, so at test time every unit is scaled too small, and
    the error grows with each such layer.

    ## When it is fine
    Dropout after the last BatchNorm, or with a LayerNorm or GroupNorm between. Stochastic
    depth (whole samples of a residual branch). A BatchNorm without running statistics. A small p: below 0.17
    it is info.

    ## Evidence
    Variance in training over that in evaluation, for zero-mean weights on rectified Gaussian units:
    (1 / (1 - p) - 1/π) / (1 - 1/π), that is 1.16 at p = 0.1, 1.63 at 0.3, 2.47 at 0.5; measured the same.
    In DeepLabV3, which drops half before its last BatchNorm, the measured ratio is 2.42.

    ## References
    - Li, Chen, Hu and Yang 2019, Understanding the Disharmony between Dropout and Batch Normalization by
    Variance
      Shift.
    """

    code = "NC203"
    name = "dropout-before-batchnorm"
    severity = Severity.WARNING
    plain = "Dropout in front of a BatchNorm makes it behave otherwise in use than in training"
    THRESHOLDS = (Threshold("ratio", _LIMIT, "variance in training over that in eval mode, from which it is a warning"),)
    BAD = (
        Example(
            "dropout in each block of an MLP",
            """
def block(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU(), nn.Dropout(0.5))

model = nn.Sequential(block(16, 32), block(32, 32), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "directly before the norm",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(32), nn.Linear(32, 4))
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "after the last batch normalization",
            """
model = nn.Sequential(
    nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 32), nn.ReLU(),
    nn.Dropout(0.5), nn.Linear(32, 4),
)
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all dropouts of a model that reach a batch normalization."""
        found = [(node, p) for node, p in dropouts(graph) if p < 1 and node.detail != "path" and reaches_batch_norm(node)]
        if not found:
            return
        rate = max(p for _, p in found)
        ratio = variance_ratio(rate)
        harmful = ratio >= self.limit("ratio") and not all(is_in_dense_head(node) for node, _ in found)
        text = f"p = {rate:g}: variance in training / evaluation = {ratio:.2f}"
        yield self.finding(
            f"dropout (p = {rate:g}) before a BatchNorm: its running variance will be {ratio:.2f} times that of evaluation",
            help="move dropout behind the last BatchNorm, or leave it out: BatchNorm regularizes by itself",
            evidence=Evidence(ratio, "variance ratio", text, limit=self.limit("ratio")),
            at=[node for node, _ in found],
            severity=Severity.WARNING if harmful else Severity.INFO,
            verdict=Verdict.SUSPECTED,
        )


def variance_ratio(p: float) -> float:
    """What dropout does to the variance of a weighted sum of rectified Gaussian units.

    E[r²] = 1/2 becomes 1 / 2(1 - p); the square of the mean, 1/2π, is no variance, and stays.
    """
    return (1 / (1 - p) - 1 / math.pi) / (1 - 1 / math.pi)


def reaches_batch_norm(node: Node) -> bool:
    """Whether a BatchNorm with running statistics follows before any other norm."""
    pending, seen = list(node.users), set()
    while pending:
        user = pending.pop()
        if user in seen:
            continue
        seen.add(user)
        if user.kind is Kind.NORM and user.detail == "batch" and keeps_statistics(user):
            return True
        if user.kind in _PASSED:
            pending += user.users
    return False


def is_in_dense_head(node: Node) -> bool:
    """Whether only the last convolutions of a fully convolutional classifier follow."""
    after = weight_layers_after(node, most=_HEAD)
    return len(node.shape or ()) > 3 and len(after) <= _HEAD and all(each.kind is Kind.CONV for each in after)


def keeps_statistics(norm: Node) -> bool:
    """Whether a batch normalization uses running statistics in evaluation."""
    if norm.module is not None:
        return getattr(norm.module, "running_var", None) is not None
    return norm.function != "batch_norm" or norm.argument(2, "running_var") is not None
