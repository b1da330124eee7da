"""NC401: a deep net without a way around its layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.rules.helpers import advice, depth_budget, patterns
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import is_weight_layer

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node

_NOTE = 10  # plain depth from which it is worth a word: He et al. 2015 lose accuracy between 18 and 34
_WARN = 30
_ROW = 5  # in a row: a stack at all, if it costs a third of the budget
_PLAIN = "weight layers"  # the unit of what is warned of for its depth alone
_SPANNED = 3  # layers that a skip is led around anyway: where no more are in a row, more skips are no advice
_TURNED = 0.75  # 1 - cosine of the gradient before and after a small step
_FEW_DIRECTIONS = 0.2  # effective rank of the head's input
_FEWER = 0.15  # the same, below which the suspicion stays even where the gradient is predictable
_GROWN = 1.0  # decades of gain: what is added to the gradient on its way back outweighs it tenfold
_UNLIKELY = 0.3  # risk not to train with SGD, below which the depth is only noted
_HELP = (
    "lead an identity around every two or three layers of equal shape: `x = x + block(x)`; where the shape changes, project it: "
    "`x = self.project(x) + block(x)`"
)


class NoSkipConnection(StaticRule):
    """The net is deep and has no skip connections: every way from input to output passes many weight layers.

    ## What it does
    Counts the fewest weight layers on any way from input to output, the net's plain depth. A residual connection is a way
    around, so ResNet-50, with 50 layers, has a plain depth of 6. Of these the longest sequence without a residual sum
    between counts: from 10 layers it is information, and from 5 if skips would give back a third of the depth budget; from 30
    it is a warning, if rectifiers or normalizations stand between them (what shatters gradients).

    A gradient that leaves the depth budget is reported here if of all single changes only skips would keep it, and more than
    three layers in a row have none.

    Where the model was run, the warning is confirmed if the gain is outside its budget, or if a step of a thousandth of the
    weights turns the gradient by more than 75 degrees (1 − cosine > 0.75) and either the head sees few directions (effective
    rank < 0.2) or the gradient grows more than tenfold on its way back: the first is a net that orders its inputs, the second
    one that scatters them. It is cleared if neither holds, the gain is within 2 decades and the effective rank is at least 0.15.
    Where the risk that the net does not train with SGD (NC610) is below 0.3, it is information.

    ## Why is this bad?
    Even where initialization and normalization keep the size of the gradient, its direction becomes noise: in a plain net
    the gradients at neighbouring inputs decorrelate exponentially with depth (shattered gradients), and the layers do not
    train together. With skips the decay is polynomial.

    ## When it is fine
    With orthogonal weights (dynamical isometry), and in CReLU nets with a looks-linear initialization (NC503): both are
    linear maps to begin with, at any depth.

    ## Evidence
    Small nets of 30 and 50 layers without skips, inside the depth budget, that trained with SGD: with ReLU, leaky ReLU and
    GELU 1 of 19; with tanh behind norms 2 of 11; but with hardtanh, maxout or no activation 7 of 8, so these are only noted.
    At depth 15, 10 of 10 BatchNorm nets trained; with skips 64 of 64 at any depth. On ImageNet a plain 34-layer net has a
    higher training error than a plain 18-layer one. Of 560 small nets, 35 had
    this warning and a gain within 3 decades: of 24 confirmed by the measurement none trained with SGD, of 9 cleared 7 did (the
    limits were chosen on one half of the nets; on the other it was none of 12, and 2 of 3). By the risk, on half of the nets:
    below 0.3 3 of 6 trained, from there on 2 of 16.

    ## References
    - He et al. 2015, Deep Residual Learning, section 4.1.
    - Balduzzi et al. 2017, The Shattered Gradients Problem.
    - Xiao et al. 2018, Dynamical Isometry and a Mean Field Theory of CNNs: orthogonal initialization.
    """

    code = "NC401"
    name = "no-skip-connection"
    severity = Severity.WARNING
    plain = "{gradient}: no skip connection leads around so many layers"
    scale_only = True
    fixable = Fixable("lead a skip around each turn of the loop over the layers", safe=False, structural=True)
    THRESHOLDS = (
        Threshold("info", _NOTE, "weight layers in a row without a skip from which it is information"),
        Threshold("warning", _WARN, "weight layers in a row without a skip from which it may be a warning"),
    )
    BAD = (
        Example(
            "a plain net of 34 convolutions, with batch normalization",
            """
def layer(channels):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
    )

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[layer(16) for _ in range(32)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "the same depth in residual blocks",
            """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(16)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))

model = nn.Sequential(nn.Conv2d(3, 16, 3), *[Block() for _ in range(16)], nn.Flatten(), nn.Linear(16 * 36, 10))
""",
            "4x3x8x8",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the measured gain, or the gradient's direction and the rank; cleared where none of them suffers from depth."""
        if found.evidence.unit != _PLAIN:
            return patterns.verdict(found, gradients, self.severity)
        turned = gradients.unpredictability
        noisy = shattered(gradients)
        risk = gradients.risk
        if risk is not None and risk.sgd < _UNLIKELY and abs(gradients.held_gain) <= depth_budget.BUDGET:
            found = replace(found, severity=min(found.severity, Severity.INFO))
        if abs(gradients.held_gain) > depth_budget.BUDGET or noisy:
            verdict = Verdict.CONFIRMED
        elif abs(gradients.held_gain) <= depth_budget.HARMLESS and turned is not None and not ordered(gradients, _FEWER):
            verdict = Verdict.CLEARED
        else:
            return found
        numbers = [f"gain {gradients.held_gain}"]
        numbers += [] if turned is None else [f"1 − cosine {turned:.2f} of the gradient over a small step"]
        numbers += [f"effective rank {gradients.effective_rank:.2f}"] if noisy else []
        numbers += [] if risk is None else [f"risk {risk}"]
        text = f"{found.evidence.text}; measured: {', '.join(numbers)}"
        return replace(found, verdict=verdict, evidence=replace(found.evidence, text=text))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """Plain depth against its limits, and the budget's finding if only skips help."""
        from netcheck.trace.budget import Cause

        diagnosis = graph.diagnosis
        plain = longest_plain_stretch(graph)
        overrun = diagnosis.cause == Cause.NO_SKIP and len(plain) > _SPANNED
        if mostly_isometric(plain) and not overrun:
            return
        most = self.limit("warning")
        if not overrun and not (len(plain) >= most and shatters(plain)):
            row = patterns.Row(patterns.each_once(plain), "weight layers in a row without a skip around them", _ROW)
            yield from patterns.pattern(
                self, graph, Cause.NO_SKIP, row, help=advice.for_blocks(graph, _HELP), limit=self.limit("info")
            )
            return
        text = f"{len(plain)} weight layers in a row on the way that has fewest, limit {most:g}"
        yield self.finding(
            f"{len(plain)} weight layers in a row have no skip connection around them"
            + (f", and {depth_budget.fate(diagnosis)}" if overrun else ""),
            help=advice.for_blocks(graph, _HELP),
            evidence=depth_budget.evidence(diagnosis) if overrun else Evidence(len(plain), _PLAIN, text, limit=most),
            at=plain,
        )


def shatters(plain: list[Node]) -> bool:
    """Whether rectifiers or normalizations follow most of some layers: nearly linear nets keep their gradients' direction."""
    from netcheck.trace.budget import followed_by_norm
    from netcheck.trace.gain import following_activation

    followers = [(node, following_activation(node)) for node in plain]
    kinked = sum(
        followed_by_norm(node) or bool(after and after.activation and after.activation.rectifies) for node, after in followers
    )
    return 2 * kinked > len(plain)


def shattered(gradients: Gradients) -> bool:
    """Whether a small step turns the gradient, and samples lie along few directions or the gradient grows on its way back.

    A turn alone says little: residual nets with a gain of 1.2 decades turn as far, and train.
    """
    return (gradients.unpredictability or 0.0) > _TURNED and (ordered(gradients) or gradients.held_gain > _GROWN)


def ordered(gradients: Gradients, few: float = _FEW_DIRECTIONS) -> bool:
    """Whether samples have come to lie along few directions."""
    return gradients.effective_rank is not None and gradients.effective_rank < few


def longest_plain_stretch(graph: ModelGraph) -> list[Node]:
    """Of the weight layers on the way that has fewest, the longest sequence without a sum or concatenation of ways between."""
    from netcheck.trace.paths import fewest_way

    best: list[Node] = []
    stretch: list[Node] = []
    for node in fewest_way(graph, is_weight_layer, also=patterns.joins_ways):
        stretch = [*stretch, node] if is_weight_layer(node) else []
        best = max(best, stretch, key=len)
    return best


def mostly_isometric(way: list[Node]) -> bool:
    """Whether most layers on a way have orthogonal or looks-linear weights, which start as an isometry at any depth."""
    from netcheck.trace.weights import is_isometric, weight_of

    weights = [weight for node in way[1:-1] if (weight := weight_of(node)) is not None]
    return bool(weights) and sum(is_isometric(weight) for weight in weights) > len(weights) / 2
