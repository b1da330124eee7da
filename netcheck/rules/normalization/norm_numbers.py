"""NC306: a number of a normalization that nobody means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node


class NormNumbers(StaticRule):
    """A normalization has a momentum or an epsilon that can hardly be meant: `nn.BatchNorm2d(64, 0.8)` sets eps.

    ## What it does
    Looks at `eps` of every normalization, and at `momentum` of those that keep running statistics in training. PyTorch's
    momentum is the share of the *new* batch: 0 never takes anything in, 1 keeps the last batch alone.

    ## Why is this bad?
    With momentum 0 the running mean and variance stay 0 and 1, so that in eval mode the layer does not normalize at all: the
    training loss falls and the validation is at chance. With momentum 1 a prediction depends on which batch came last. An eps
    near 1 stands beside a variance of 1: it divides by too much, and small signals are not scaled up. It is what comes of
    `nn.BatchNorm2d(64, 0.8)`, meant as a momentum: the second argument is eps.

    ## When it is fine
    Statistics that are frozen on purpose: say so with `track_running_stats=False`, or call `eval()` on the layer. Inputs whose
    variance is far above 1.

    ## Evidence
    The number as it is set.

    ## References
    - PyTorch documentation of nn.BatchNorm2d: "this momentum argument is different from one used in optimizer classes".
    """

    code = "NC306"
    name = "norm-numbers"
    severity = Severity.WARNING
    plain = "A normalization is set to numbers that can hardly be meant"
    THRESHOLDS = (Threshold("eps", 0.1, "beside a variance of 1, from which an epsilon is no mere guard against zero"),)
    BAD = (
        Example(
            "a momentum that keeps nothing",
            "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0), nn.ReLU(), nn.Conv2d(8, 4, 3))",
            "4x3x8x8",
        ),
        Example(
            "a momentum in the place of eps",
            "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, 0.8), nn.ReLU(), nn.Conv2d(8, 4, 3))",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "the numbers of TensorFlow's models",
            "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, 1e-3, 0.01), nn.ReLU(), nn.Conv2d(8, 4, 3))",
            "4x3x8x8",
        ),
        Example(
            "a cumulative mean",
            "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Conv2d(8, 4, 3))",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each number that several layers may share."""
        found: dict[tuple[str, float], list[Node]] = {}
        for node in graph:
            for setting in self.odd(node):
                found.setdefault(setting, []).append(node)
        for (name, value), nodes in found.items():
            several = len(nodes) > 1
            yield self.finding(
                f"{f'{len(nodes)} normalizations have' if several else f'{nodes[0].target} has'} {name} {value:g}: "
                f"{consequence(name, value)}",
                help=CURES[name],
                evidence=Evidence(value, name, f"{name}={value:g} in {len(nodes)} layer{'s' if several else ''}"),
                at=nodes,
                verdict=Verdict.CONFIRMED,
            )

    def odd(self, node: Node) -> Iterator[tuple[str, float]]:
        """The settings of a normalization that can hardly be meant: (name, value)."""
        if node.kind is not Kind.NORM or node.module is None or not node.live:
            return
        eps, momentum = (getattr(node.module, name, None) for name in ("eps", "momentum"))
        if isinstance(eps, int | float) and eps >= self.limit("eps"):
            yield "eps", float(eps)
        tracks = getattr(node.module, "running_mean", None) is not None and node.training
        if tracks and isinstance(momentum, int | float) and momentum in (0, 1):
            yield "momentum", float(momentum)


CURES = {
    "eps": "leave eps at 1e-5; the second argument of a batch normalization is eps, a momentum is written momentum=0.2",
    "momentum": "leave momentum at 0.1, the share of the new batch in the running statistics; to freeze them call eval() on the "
    "layer, to have none set track_running_stats=False",
}


def consequence(name: str, value: float) -> str:
    """What such a number does."""
    if name == "eps":
        return "it stands beside a variance of about 1, and the output is too small"
    return (
        "the running statistics never move, and eval mode does not normalize"
        if not value
        else ("in eval mode the statistics of the last batch alone are used")
    )
