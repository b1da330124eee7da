"""NC607: the head cannot tell samples apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.figures.decades import Decades
from netcheck.figures.risk import LIKELY, Risk
from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.helpers import advice, depth_budget
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


EVEN = 0.5  # risk
_SAME = 1e-4  # share of the head's input's mean square that differs between samples
_IDENTICAL = 1e-6
_ONE_DIRECTION = 0.02  # effective rank, 0: all samples on one line
_FEW_DIRECTIONS = 0.15
_SIMILAR = 3e-3  # share of the mean square: not the same yet, but agrees that directions are few
_LEAST = -150.0  # decades whose square is still a number
PLAIN = """
model = nn.Sequential(*[layer for _ in range(20) for layer in (nn.Linear(64, 64, bias=False), nn.ReLU())], nn.Linear(64, 4))
for layer in model[:-1:2]:
    nn.init.orthogonal_(layer.weight, """


class CollapsedRepresentation(MeasuredRule):
    """What arrives at the head hardly depends on the input, or lies along a few directions.

    ## What it does
    Compares the head's input over the samples of a batch of Gaussian inputs: the share of its mean square that differs
    between samples, and the effective rank of the differences (the exponential of the entropy of their spectrum, 0 if all
    lie on one line, 1 if they fill the space). It warns where less than 1e-4 differs (an error below 1e-6), where nearly all
    lies on one line (rank below 0.02), and where the rank is below 0.15 and a second measurement agrees: a gain beyond 2
    decades, or less than 0.003 that differs. The last two are a warning if the risk that the net does not train with SGD is
    0.8 or more (see NC610), and information below.

    ## Why is this bad?
    A head that sees the same vector for every sample learns the mean of the labels. In the ordered phase of mean-field theory
    the correlation of any two inputs grows to 1 with depth; the gradient that could pull them apart vanishes with it.

    ## When it is fine
    Rank alone says little: orthogonal ReLU nets of 30 layers start below 0.05, and train. Hence the second measurement. In
    recurrent nets it says nothing: the last state of a GRU starts along few directions, and leaves them. There only the share
    counts.

    ## Evidence
    On 560 small nets all findings about gradients together have precision 0.996 and recall 0.81 for "does not train with SGD";
    without this rule 1.00 and 0.74. With a rank limit of 0.1 they have 1.00 and 0.80, with 0.3 they have 0.99 and 0.83
    (`tests/calibration/verdict.py` repeats it).
    They do not show what the rule must not say: a fully connected net of 5 layers of 16 or 32 units at PyTorch's own
    initialization has a rank of 0.1 to 0.2 and a gain of −1.5 to −2.1 decades, and trains. So 144 plain nets at that
    initialization (16 to 128 units, 4 to 10 layers) were trained on another task: with a rank limit of 0.2 and a gain
    limit of 1.5, 12 of the 20 that this rule warned of trained; with these limits 1 of 6
    (`tests/calibration/small_nets.py` repeats it).
    All limits were chosen with these nets in sight. Of 18 recurrent nets (`tests/calibration/features.py`) 5 were warned of for
    their rank, of which 4 trained.

    ## References
    - Schoenholz et al. 2017, Deep Information Propagation.
    - Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality.
    - Daneshmand et al. 2020, Batch normalization provably avoids rank collapse.
    """

    code = "NC607"
    name = "collapsed-representation"
    severity = Severity.ERROR
    plain = "Whatever comes in, nearly the same arrives at the last layer: it can hardly tell inputs apart"
    THRESHOLDS = (
        Threshold("warning", _SAME, "share of the mean square that differs between samples below which it is a warning"),
        Threshold("error", _IDENTICAL, "the same share below which it is an error"),
        Threshold("line", _ONE_DIRECTION, "effective rank below which samples lie along a line"),
        Threshold("rank", _FEW_DIRECTIONS, "effective rank below which directions are few, if something else agrees"),
        Threshold("gain", depth_budget.HARMLESS, "decades of gain, of either sign, beyond which it agrees"),
        Threshold("similar", _SIMILAR, "share of the mean square that differs between samples below which it agrees"),
    )
    explained_by = (
        "NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503", "NC601", "NC602", "NC605", "NC606", "NC608", "NC609",
    )  # fmt: skip
    BAD = (
        Example(
            "an average over the batch in the place of the samples",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.layer(x))
        return self.head(x.mean(0, keepdim=True).expand_as(x) + 1e-5 * x)

model = Net()
""",
            "32x16",
        ),
        Example(
            "a bottleneck of one unit",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.Linear(1, 32), nn.Linear(32, 4))
""",
            "32x16",
        ),
    )
    GOOD = (
        Example("a small net", "model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))", "32x16"),
        Example(
            "few directions, and a gradient that keeps its size",
            f"{PLAIN}gain=2**0.5)",
            "32x64",
        ),
    )

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """Variance between samples, and rank, against their limits."""
        from netcheck.rules.measured import profiles
        from netcheck.trace.questions import trained_scales

        differing, rank = gradients.between_sample_variance, gradients.effective_rank
        head = profiles.head_of(graph)
        lost = max(trained_scales.lost(graph)[0], _LEAST)
        grown = 10.0 ** (-2 * lost)  # what scales that start small add to the variance when they have grown
        same = differing is not None and differing * grown < self.limit("warning")
        few = rank is not None and (rank < self.limit("line") or (rank < self.limit("rank") and self.second_symptom(gradients)))
        few = few and not gradients.recurrent
        if not (same or few):
            return
        numbers = [f"{differing:.2g} of the mean square differs between samples"] if differing is not None else []
        numbers += [f"effective rank {rank:.3f}"] if rank is not None else []
        risk = gradients.risk
        if few and not same:
            numbers += [f"gain {Decades(gradients.gain)} decades", *([f"risk {risk}"] if risk is not None else [])]
        value, unit, limit = (differing, "share", self.limit("warning")) if same else (rank, "effective rank", self.limit("rank"))
        yield self.finding(
            "the head sees the same for every sample" if same else "the head sees samples along few directions only",
            help=advice.for_net(
                graph, "initialize for the activations, lead identity skips around the layers, or normalize over the batch"
            ),
            evidence=Evidence(value or 0.0, unit, f"{', '.join(numbers)}", limit=limit),
            at=[head] if head is not None else [],
            severity=self.severity_of(same, differing or 0.0, risk),
            verdict=Verdict.CONFIRMED,
        )

    def severity_of(self, same: bool, differing: float, risk: Risk | None) -> Severity:
        """Few directions are information unless training is unlikely by all that was measured, little difference if it is not."""
        if same and differing < self.limit("error"):
            return Severity.ERROR
        if same:
            return Severity.INFO if risk is not None and risk.sgd < EVEN else Severity.WARNING
        return Severity.WARNING if risk is not None and risk.sgd >= LIKELY else Severity.INFO

    def second_symptom(self, gradients: Gradients) -> bool:
        """Whether the gain, or the size of the differences, is off as well."""
        differing = gradients.between_sample_variance
        similar = differing is not None and differing < self.limit("similar")
        return similar or abs(gradients.held_gain) > self.limit("gain")
