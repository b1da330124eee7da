"""NC610: several measurements that together make training unlikely."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.figures.risk import LIKELY
from netcheck.findings import Evidence, Finding, Severity
from netcheck.rules.base import Example, MeasuredRule
from netcheck.rules.helpers import advice
from netcheck.rules.thresholds import Threshold

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph


class UnlikelyToTrain(MeasuredRule):
    """No measurement is beyond its own limit, and all together make it unlikely that the net trains.

    ## What it does
    Puts five measurements into one probability: the gain, the effective rank of what the head sees, the share of it that
    differs between samples, how far a small step turns the gradient, and how far |g|/|w| is spread over the weights. It warns
    where that is 0.8 or more for SGD, and no other finding about gradients says why. It is a prediction, not a fact; where the
    net has skips around most of its depth, and is normalized all along, there is nothing to advise, and it is information. Of
    nets in which every way passes a trained scale that starts small it says nothing: none of these is among the networks below.

    ## Why is this bad?
    A gradient that has lost a little of its size, in a net whose samples lie along few directions and whose gradient turns
    with every step, is in none of these beyond repair, and yet goes nowhere.

    ## When it is fine
    Of 69 nets whose risk was 0.8 or more by a fit to the other families one trained with SGD. With a smaller rate it may be
    worth the try; `--optimizer adam` asks for Adam's risk, which is lower.

    ## Evidence
    A logistic regression on 407 small networks of five families and five tasks (`tests/calibration`), of which 128 do not train
    with SGD within 300 steps. Each family predicted by a fit to the others: AUC 0.90, expected calibration error 0.03, precision
    0.99 and recall 0.53 at 0.8 (AUC 0.88 and 0.06 for Adam); each half by the other: 0.91, 0.02, 0.97 and 0.48. Of the 60
    missed 32 learn with Adam, and 26 had learned something when the steps ended.

    ## References
    - Balduzzi et al. 2017, The Shattered Gradients Problem.
    - Schoenholz et al. 2017, Deep Information Propagation.
    - Naeini, Cooper and Hauskrecht 2015, Obtaining Well Calibrated Probabilities: the expected calibration error.
    """

    code = "NC610"
    name = "unlikely-to-train"
    severity = Severity.WARNING
    plain = "Nets that measured like this one mostly did not train"
    explained_by = (
        "NC101", "NC102", "NC301", "NC401", "NC501", "NC502", "NC503",
        "NC601", "NC602", "NC605", "NC606", "NC607", "NC608", "NC609",
    )  # fmt: skip
    THRESHOLDS = (Threshold("risk", LIKELY, "probability that it does not train with SGD, from which it is a warning"),)
    BAD = (
        Example(
            "a recurrent net with large weights: the gradient grows over the steps, and turns",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 32, 3, batch_first=True)
        self.head = nn.Linear(32, 4)
        for name, value in self.rnn.named_parameters():
            if name.startswith("weight"):
                nn.init.normal_(value, std=3 / value.shape[1] ** 0.5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

torch.manual_seed(0)
model = Net()
""",
            "32x24x4",
        ),
    )
    GOOD = (Example("a small net", "model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))", "32x16"),)

    def check(self, gradients: Gradients, graph: ModelGraph) -> Iterable[Finding]:
        """The risk against its limit."""
        from netcheck.rules.measured import profiles
        from netcheck.trace.questions import trained_scales

        risk = gradients.risk
        if risk is None or risk.sgd < self.limit("risk") or trained_scales.lost(graph)[1] is not None:
            return
        head = profiles.head_of(graph)
        has_all = advice.has_skips_and_norms(graph)
        yield self.finding(
            f"it is unlikely to train: the risk is {risk}",
            help="begin with a small rate, or train with Adam"
            if has_all
            else advice.for_net(
                graph, "lead identity skips around the layers, normalize between them, or initialize them for their activations"
            ),
            severity=Severity.INFO if has_all else None,
            evidence=Evidence(
                round(risk.sgd, 3),
                "probability",
                f"gain {gradients.held_gain} decades, effective rank {gradients.effective_rank:.2f}, "
                f"{gradients.between_sample_variance:.2g} of the mean square differs between samples"
                + (f", 1 − cosine {gradients.unpredictability:.2f}" if gradients.unpredictability is not None else ""),
                limit=self.limit("risk"),
            ),
            at=[head] if head is not None else [],
        )
