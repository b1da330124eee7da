"""NC201: dropout of single pixels of a feature map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.channels import kernel_size
from netcheck.trace.questions.neighbours import next_weight_layers, weight_layers_after

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_HEAD = 2  # convolutions that may follow in a convolutional classifier (DeepLab, FCN, SqueezeNet have one or two)


class ElementwiseDropoutOnFeatureMap(StaticRule):
    """Dropout of single elements on a convolution's feature map, whose neighbours give the dropped values back.

    ## What it does
    Finds dropout that drops elements one by one (nn.Dropout, F.dropout, alpha dropout, a random mask written out) on a
    value that comes from a convolution and still has a spatial extent of more than one position.

    ## Why is this bad?
    Neighbouring positions of a feature map are strongly correlated, so the next convolution reads the dropped value off
    its neighbours: nothing is regularized, the gradient is only made noisier and the effective learning rate smaller.
    Dropping whole channels takes the information away.

    ## When it is fine
    Before flattening or global pooling, and after; on attention probabilities and token sequences; with p = 0; right before the
    one or two convolutions of a fully convolutional classifier; where all convolutions that follow are 1×1, which read no
    neighbours.

    ## Evidence
    At a correlation of 0.8 between neighbours a linear read-out recovers 72 % of a dropped pixel's variance. Whole-channel
    dropout is stronger at the same p: Dropout2d(0.5) on 12 channels did not train in the calibration set, so use less.

    ## References
    - Tompson et al. 2015, Efficient Object Localization Using Convolutional Networks, section 3.2: SpatialDropout.
    """

    code = "NC201"
    name = "elementwise-dropout-on-feature-map"
    severity = Severity.WARNING
    plain = "Dropout of single values does little on a feature map, since neighbours give the dropped values back"
    fixable = Fixable("drop whole channels, with a rate of 0.1 at most", safe=False)
    BAD = (
        Example(
            "nn.Dropout between convolutions",
            """
model = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Dropout(0.5),
    nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Dropout(0.5),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)
""",
            "4x3x16x16",
        ),
    )
    GOOD = (
        Example(
            "whole channels are dropped",
            """
model = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.1),
    nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.1),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)
""",
            "4x3x16x16",
        ),
        Example(
            "after flattening",
            """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8 * 36, 64), nn.ReLU(), nn.Linear(64, 10)
)
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such dropouts of a model."""
        found = [(node, rate) for node, rate in active_dropouts(graph) if is_on_feature_map(node)]
        if not found:
            return
        nodes = [node for node, _ in found]
        rate = max(rate for _, rate in found)
        shape = nodes[0].shape or ()
        extent = "×".join(map(str, shape[2:]))
        better = {3: "Dropout1d", 4: "Dropout2d", 5: "Dropout3d"}[len(shape)]
        yield self.finding(
            f"dropout of single elements (p = {rate:g}) on feature maps of {extent}: "
            "the next convolution reads the dropped values off their neighbours",
            help=f"drop whole channels, with a smaller rate: `nn.{better}({min(rate, 0.1):g})`",
            evidence=Evidence(
                rate,
                "drop probability",
                f"p = {rate:g} on {shape[1]} maps of {extent}, in {len(nodes)} place{'s' if len(nodes) > 1 else ''}; "
                "72 % of a pixel is recovered from neighbours at correlation 0.8",
                limit=0.0,
            ),
            at=nodes,
        )


def active_dropouts(graph: ModelGraph) -> Iterator[tuple[Node, float]]:
    """Every dropout that drops single elements in training, with its rate."""
    for node in graph:
        if node.kind is not Kind.DROPOUT or node.detail not in ("elementwise", "alpha") or not node.live:
            continue
        rate = node.option("p", 1, 0.5)
        if node.random or not isinstance(rate, int | float):
            yield node, 0.5  # a mask written out: its rate stands in the user's arithmetic
        elif rate > 0 and (node.module is not None or node.argument(2, "training", True)):
            yield node, float(rate)


def is_on_feature_map(node: Node) -> bool:
    """Whether the value dropped from is a map that a convolution made, and that a convolution reads next."""
    shape = node.shape or ()
    if not 3 <= len(shape) <= 5 or math.prod(shape[2:]) <= 1 or not comes_from_convolution(node):
        return False
    if not any(layer.kind is Kind.CONV for layer in next_weight_layers(node)):
        return False  # a Linear reads each position by its own weights
    if not any(map(mixes, node.graph.nodes[node.index :])):
        return False  # and a convolution of 1×1 reads each position by itself
    after = weight_layers_after(node, most=_HEAD)
    return not (after and len(after) <= _HEAD and all(layer.kind == "conv" for layer in after))


def mixes(layer: Node) -> bool:
    """Whether a convolution reads positions beside each other."""
    return layer.kind is Kind.CONV and max(kernel_size(layer) or (1,)) > 1


def comes_from_convolution(node: Node) -> bool:
    """Whether a convolution made the value, and nothing since has changed what its dimensions mean."""
    passing = (
        Kind.ACTIVATION, Kind.NORM, Kind.POOL, Kind.ADD, Kind.CAT, Kind.GATE, Kind.SCALE, Kind.SHIFT, Kind.DROPOUT, Kind.CAST,
        Kind.RESIZE, Kind.PAD, Kind.IDENTITY, Kind.PART, Kind.POINTWISE,
    )  # fmt: skip
    pending, seen = [source for source in node.inputs if source.carries], set()
    while pending:
        source = pending.pop()
        if source in seen:
            continue
        seen.add(source)
        if source.kind is Kind.CONV:
            return len(source.shape or ()) == len(node.shape or ())
        if source.kind in passing and len(source.shape or ()) == len(node.shape or ()):
            pending += [before for before in source.inputs if before.carries]
    return False
