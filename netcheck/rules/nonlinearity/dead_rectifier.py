"""NC105: a rectifier that its input never switches on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.thresholds import Threshold
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.neighbours import origin
from netcheck.trace.questions.ranges import bounds
from netcheck.trace.questions.unit_moments import is_as_built, unit_moments

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph, Node

_SIGMAS = 4.0  # a Gaussian pre-activation exceeds its mean by that much once in 30,000
_MOST = 0.5  # share of dead units from which it is a fault
_FEW = 0.1  # measured share of dead units below which a suspicion was wrong


class DeadRectifier(StaticRule):
    """A rectifier whose input is negative for (almost) every sample: its output is constant and no gradient
    passes.

    ## What it does
    Where a rectifier is exactly flat, looks at what reaches it: a value that can never be
    positive (the negative of a ReLU, a logarithm of a probability, negative weights on rectified values), or
    a bias (of the layer, of the norm, or added by hand) that lies four standard deviations below. From half
    of the units on it is reported.

    ## Why is this bad?
    The slope of a ReLU is 0 left of zero. A unit that is there for every sample gets no
    gradient, so it never comes back. If all units of a layer are, nothing before it trains.

    ## When it is fine
    A small negative bias, which makes units sparse. A norm whose scale starts at 0 at the
    end of a residual branch, before the sum. Smooth rectifiers (GELU, SiLU, ELU) and leaky ones: their slope
    is not 0 there.

    ## Evidence
    The share of units whose pre-activation is below the threshold by four standard deviations,
    from the weights and the moments of a standardized input; or all of them, where the sign proves it. In the
    calibration set a layer whose units were all dead on every sample never trained.

    ## References
    - Lu, Shin, Su and Karniadakis 2020, Dying ReLU and Initialization.
    - Maas, Hannun and Ng 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models.
    """

    code = "NC105"
    name = "dead-rectifier"
    severity = Severity.ERROR
    plain = "A rectifier gets negative numbers alone: its output is always the same, and what is in front of it never learns"
    THRESHOLDS = (
        Threshold("share", _MOST, "share of a rectifier's units above which dead ones are too many"),
        Threshold("sigmas", _SIGMAS, "standard deviations below the edge from which a unit counts as dead"),
    )
    BAD = (
        Example(
            "biases far below zero",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
nn.init.constant_(model[0].bias, -10.0)
""",
            "8x16",
        ),
        Example(
            "a batch normalization whose scale starts at zero, before the ReLU",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))

model = Net()
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "PyTorch's own biases",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
""",
            "8x16",
        ),
        Example(
            "a slightly negative bias, for sparse units",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
nn.init.constant_(model[0].bias, -0.5)
""",
            "8x16",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the share of units that were 0 on every sample: as many as estimated confirm it, hardly any clear it."""
        there = (one for one in gradients.profile if one.path in found.modules and one.kind == "activation")
        shares = [one.dead for one in there if one.dead is not None]
        if found.verdict is Verdict.CONFIRMED or not shares:
            return found
        worst = max(shares)
        text = f"{found.evidence.text}; measured: {worst:.0%} of the units 0 on every sample"
        harm = worst > self.limit("share")
        verdict = Verdict.CONFIRMED if harm else Verdict.CLEARED if worst < _FEW else Verdict.SUSPECTED
        return replace(found, verdict=verdict, evidence=replace(found.evidence, text=text))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for the rectifiers that are wholly dead, one for those that mostly are."""
        most, sigmas = self.limit("share"), self.limit("sigmas")
        dead = [each for node in graph if (each := dead_units(node, most, sigmas)) is not None]
        for whole in (True, False):
            found = [each for each in dead if (each.share == 1) == whole]
            if not found:
                continue
            worst = max(found, key=lambda each: each.share)
            number = f"{len(found)} rectifiers" if len(found) > 1 else "a rectifier"
            share = "all" if whole else f"{worst.share:.0%} of the"
            yield self.finding(
                f"{share} units of {number} are dead: {worst.reason}",
                help=worst.cure,
                evidence=Evidence(worst.share, "of the units dead", worst.text, limit=most),
                at=[each.node for each in found],
                severity=Severity.ERROR if whole else Severity.WARNING,
                verdict=Verdict.CONFIRMED if worst.proven else Verdict.SUSPECTED,
            )


@dataclass(frozen=True)
class Dead:
    """A rectifier most of whose units are off for good."""

    node: Node
    share: float
    reason: str
    cure: str
    text: str
    proven: bool


def dead_units(node: Node, most: float, sigmas: float) -> Dead | None:
    """What is dead of a rectifier; None if it is none, or not more than a share of `most` is.

    A unit is dead if its pre-activation lies `sigmas` standard deviations below the edge of the flat part.
    """
    if node.kind is not Kind.ACTIVATION or node.detail or not node.live or not node.carries:
        return None
    if node.activation is None:
        return None
    edge, source = node.activation.flat_below, origin(node)
    if edge is None or source is None:
        return None
    highest = bounds(source)[1]
    if highest <= edge:
        return Dead(
            node,
            1.0,
            "what reaches them is never positive" if edge == 0 else f"what reaches them never exceeds {edge:g}",
            "turn the sign, or leave the rectifier out",
            f"largest possible pre-activation {highest:g}, rectifier flat up to {edge:g}",
            proven=True,
        )
    if source.kind is Kind.NORM and edge == 0 and is_as_built(source):
        return None
    units = unit_moments(source)
    if units is None:
        return None
    mean, spread = units
    share = float((mean + sigmas * spread < edge).double().mean())
    if share <= most:
        return None
    return Dead(
        node,
        share,
        "their bias lies far below what the weights can make up for",
        "start the biases at 0: `nn.init.zeros_(layer.bias)`",
        f"median pre-activation {float(mean.median()):.3g} ± {float(spread.median()):.2g}, flat up to "
        f"{edge:g}: {share:.0%} of {mean.numel()} units are {sigmas:g} standard deviations below",
        proven=False,
    )
