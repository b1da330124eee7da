"""NC103: two weight layers with nothing nonlinear between."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.questions.linear_pairs import linear_pairs, name_of

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph


class MissingNonlinearity(StaticRule):
    """A weight layer feeds another with nothing nonlinear between: together they are one linear map.

    ## What it does
    Looks for two linear or convolutional layers between which there are at most linear
    operations: reshapes, average pooling, dropout, scaling, and batch normalization, which after training is
    linear too.

    ## Why is this bad?
    A product of two matrices is a matrix. The second layer costs parameters, time and
    gradient, and adds nothing that the first could not express. Usually a nonlinearity was forgotten.

    ## When it is fine
    Where the pair is a factorization that costs no more than the single layer: a bottleneck
    (low rank, LoRA), depthwise separable, grouped, or spatially separable convolutions, layers that mix
    different dimensions (tokens, then features), a pixel shuffle. At the linear bottleneck of inverted
    residual blocks (MobileNetV2). In the projections around attention. Where one of the two weights is shared
    with, or the value between is used by, something else. Where one of the two is frozen. In learned
    upsampling: a transposed convolution with stride equal to its kernel, or with a stride and as many channels as before,
    also behind the layer that scores these channels (FCN).

    ## Evidence
    Exact: the matrix product, or the convolution of the two kernels, replaces both layers.

    ## References
    - Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.1: a composition of linear functions is
    linear.
    - Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks.
    - Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep linear
    networks.
    """

    code = "NC103"
    name = "missing-nonlinearity"
    severity = Severity.WARNING
    plain = "Two layers follow each other with nothing nonlinear between, and can learn no more than one of them could"
    BAD = (
        Example(
            "linear layers in a row",
            """
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.Linear(128, 10))
""",
            "8x1x8x8",
        ),
        Example(
            "forward that forgets one activation",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 64), nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return self.fc3(x)

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "an activation between, also as a method",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        return self.fc2(self.fc1(x).clamp(min=0))

model = Net()
""",
            "8x16",
        ),
        Example(
            "a low-rank factorization",
            """
model = nn.Sequential(nn.Linear(64, 8, bias=False), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4))
""",
            "8x64",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such pairs of a model."""
        pairs = list(linear_pairs(graph))
        if not pairs:
            return
        pair = pairs[0]
        n_in, n_mid, n_out = pair.widths
        first, second = name_of(pair.first), " and ".join(name_of(node) for node in pair.followers)
        more = f" (and {len(pairs) - 1} more such place{'s' if len(pairs) > 2 else ''})" if len(pairs) > 1 else ""
        text = (
            f"{n_in} → {n_mid} → {n_out} channels without a nonlinearity: "
            f"rank at most {min(pair.widths)}, as a single layer of {n_in} → {n_out} has"
        )
        yield self.finding(
            f"nothing nonlinear between {first} and {second}: together they are one linear map{more}",
            help=f"apply an activation to the output of {first}, such as `F.relu(...)`, or write one layer "
            f"of {n_in} → {n_out} instead",
            evidence=Evidence(len(pairs), "pairs of layers", text, limit=0),
            at=dict.fromkeys(node for pair in pairs for node in (pair.first, *pair.followers)),
            verdict=Verdict.CONFIRMED,
            count=len(pairs),
        )
