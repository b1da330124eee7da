"""NC611: logits that are large before anything was learned."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.helpers.authors_file import used_around
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.questions.losses import name_of
from netcheck.trace.questions.neighbours import UNCHANGED, ends

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node

_CROSS_ENTROPY = frozenset(("CrossEntropyLoss", "cross_entropy", "NLLLoss", "nll_loss"))


def classifier(line: str) -> str:
    """Two layers and their loss; the line draws the head."""
    return f"""
model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))
{line}

def train(x, y):
    return F.cross_entropy(model(x), y)
"""


class LargeLogits(MeasuredRule):
    """The first logits are so large that the first loss is many times ln C, that of knowing nothing of C classes.

    ## What it does
    Takes how far the outputs of the head spread over classes and samples, and from it the cross-entropy of labels that have
    nothing to do with them: ln C + s²/2 for a small spread s, s √(2 ln C) for a large one. It is a warning where forward, or the
    file, shows a softmax or a cross-entropy, and information where the outputs may be anything.

    ## Why is this bad?
    The net is sure, and wrong: its first hundreds of steps are spent on making the head smaller, with gradients that are those
    of its mistakes alone. The loss curve has the form of a hockey stick, and a rate that suits the rest of the training may
    diverge.

    ## When it is fine
    Where outputs are no logits, and large by their units.

    ## Evidence
    The expected first loss, over ln C. Of the classifiers of torchvision and timm, and small transformers, at their own
    initialization, none is above 1.5.

    ## References
    - Derrida 1981, Random-energy model: the free energy of Gaussian levels.
    - Karpathy 2019, A Recipe for Training Neural Networks: verify the loss at init.
    """

    code = "NC611"
    name = "large-logits"
    severity = Severity.WARNING
    plain = "Its first outputs are far too large, so the first losses are huge and the first steps wild"
    explained_by = ("NC301", "NC401", "NC501", "NC502", "NC506", "NC602", "NC609")
    THRESHOLDS = (Threshold("times", 5.0, "ln C that the first loss may be"),)
    BAD = (Example("a head drawn from a standard Gaussian", classifier("nn.init.normal_(model[2].weight, std=3.0)"), "32x32"),)
    GOOD = (
        Example("PyTorch's own head", classifier(""), "32x32"),
        Example("a head at Xavier's scale", classifier("nn.init.xavier_normal_(model[2].weight)"), "32x32"),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for each head."""
        nodes = {node.name: node for node in graph}
        for one in gradients.profile:
            node = nodes[one.node]
            seen = logits(node)
            if seen is None or not math.isfinite(one.rms):
                continue
            spread = math.sqrt(max(0.0, one.rms**2 - one.mean**2))
            classes, shown = seen
            times = first_loss(spread, classes) / math.log(classes)
            if times < self.limit("times"):
                continue
            yield self.finding(
                f"the first {'logits' if shown else 'outputs'} of {node.target} have a spread of {spread:.2g}: "
                f"{'' if shown else 'as logits, '}a first loss of {times:.1f} ln {classes}",
                help="draw the head smaller: nn.init.normal_(head.weight, std=0.01), or divide by the square root of its inputs",
                evidence=Evidence(
                    round(times, 2), "times ln C", f"a spread of {spread:.3g} over {classes} classes", limit=self.limit("times")
                ),
                at=[node],
                severity=Severity.WARNING if shown else Severity.INFO,
                verdict=Verdict.CONFIRMED,
            )


def first_loss(spread: float, classes: int) -> float:
    """The expected cross-entropy of Gaussian logits of this standard deviation with labels that know nothing of them."""
    freezing = math.sqrt(2 * math.log(classes))
    return math.log(classes) + spread**2 / 2 if spread < freezing else spread * freezing


def logits(node: Node) -> tuple[int, bool] | None:
    """(classes, whether anything shows that they are logits) of a layer whose numbers are results, or a softmax's; else None."""
    if not is_weight_layer(node) or node.kind is Kind.RECURRENT or not node.live or not node.shape:
        return None
    classes = node.shape[1] if node.kind is Kind.CONV else node.shape[-1]
    after = ends(node, UNCHANGED)
    if classes < 2 or not after or any(user.kind not in (Kind.OUTPUT, Kind.SOFTMAX, Kind.LOSS) for user in after):
        return None
    softmaxes = [user for user in after if user.kind is Kind.SOFTMAX]
    if any(user.kind is not Kind.OUTPUT for softmax in softmaxes for user in ends(softmax, UNCHANGED)):
        return None  # a gate, or attention
    losses = [user for user in after if user.kind is Kind.LOSS]
    if any(name_of(loss) not in _CROSS_ENTROPY for loss in losses):
        return None
    return classes, bool(softmaxes or losses) or used_around(node, _CROSS_ENTROPY)
