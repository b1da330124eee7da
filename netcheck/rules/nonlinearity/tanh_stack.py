"""NC101: zero-centred saturating activations too deep for any initialization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Finding, Severity
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.helpers import advice, depth_budget, patterns

if TYPE_CHECKING:
    from netcheck.figures.gradients import Gradients
    from netcheck.trace.graph import ModelGraph

_LONG = 5  # in a row: worth a word by themselves. LeNet-5 has four
_ROW = 3  # in a row: a stack at all, if it costs a third of the budget


class TanhStack(StaticRule):
    """Tanh-like activations are stacked so deep that no initialization keeps the gradient; a rectifier would.

    ## What it does
    Estimates the static gain of the net (see NC501). Where it is outside the budget, initializing for the activation does
    not bring it back, and putting a rectifier in the place of every activation that is flat on both sides around zero
    (tanh, hardtanh, softsign, arctan, a user's own: told by behaviour, not by name) does, the activation is the cause.

    A tanh stack that suffers from its initialization alone is reported as poor-init (NC501), which is cheaper to mend; the
    stack then stands under that finding. Inside the budget, five such activations in a row with nothing between them (no
    norm, no skip, no other activation) are information, and three if rectifiers would give back a third of the budget.

    ## Why is this bad?
    A tanh unit's slope depends on how large its input is, so no gain keeps the gradient's size: below a gain of 1 signals
    shrink to nothing, above it the gradient grows by a few hundredths of a decade a layer (0.04 at the usual 5/3). That is
    little in ten layers and too much in a hundred. A rectifier is linear on one side at any size: at its own gain nothing is
    lost or won, at any depth.

    ## When it is fine
    Up to some fifty layers at the gain of 5/3; behind normalizations; in gates (of an RNN, of squeeze-and-excitation) and on
    the output, where the range is the purpose.

    ## Evidence
    Decades a layer, measured: tanh −0.25 at PyTorch's default, at most 0.04 either way at gain 5/3; ReLU 0.01 at √2.

    ## References
    - Glorot and Bengio 2010, section 3: saturation of deep sigmoid and tanh nets.
    - Nair and Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines.
    """

    code = "NC101"
    name = "tanh-stack"
    severity = Severity.ERROR
    plain = "{gradient}: too many tanh-like activations follow each other"
    scale_only = True
    THRESHOLDS = (depth_budget.ERROR, patterns.noted(_LONG, "activations"))
    BAD = (
        Example(
            "a hundred and twenty tanh layers, even at tanh's own gain",
            """
model = nn.Sequential(*(part for _ in range(120) for part in (nn.Linear(64, 64), nn.Tanh())), nn.Linear(64, 10))
for layer in model[:-1:2]:
    nn.init.xavier_uniform_(layer.weight, gain=5 / 3)
    nn.init.zeros_(layer.bias)
""",
            "8x64",
        ),
        Example(
            "six in a row, inside the budget: information",
            """
model = nn.Sequential(*(part for _ in range(6) for part in (nn.Linear(64, 64), nn.Tanh())), nn.Linear(64, 10))
""",
            "8x64",
        ),
    )
    GOOD = (
        Example(
            "rectifiers at their own gain",
            """
model = nn.Sequential(*(part for _ in range(120) for part in (nn.Linear(64, 64), nn.ReLU())), nn.Linear(64, 10))
for layer in model[:-1:2]:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
""",
            "8x64",
        ),
        Example(
            "four tanh layers, as in LeNet-5, and tanh's own gain",
            """
class Layer(nn.Linear):
    def reset_parameters(self):
        nn.init.xavier_uniform_(self.weight, gain=5 / 3)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return torch.tanh(super().forward(x))

model = nn.Sequential(*(Layer(64, 64) for _ in range(4)), nn.Linear(64, 10))
""",
            "8x64",
        ),
    )

    def verdict(self, found: Finding, gradients: Gradients) -> Finding:
        """By the measured gain."""
        return patterns.verdict(found, gradients, self.severity, self.limit("error"))

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """The budget's finding if saturation around zero is the cause, else the row itself."""
        if patterns.code_of_cause(graph) == self.code:
            yield saturation(self, graph, zero_centred=True)
        else:
            yield from stack(self, graph, zero_centred=True, fewest=_ROW, limit=self.limit("info"))


def saturation(rule: StaticRule, graph: ModelGraph, *, zero_centred: bool) -> Finding:
    """The finding of a budget overrun that saturating activations cause."""
    diagnosis, found = graph.diagnosis, patterns.blamed(graph, zero_centred=zero_centred)
    name = depth_budget.name_of(found)
    return rule.finding(
        f"{len(found)} {name} activations in a row: {depth_budget.fate(diagnosis)}",
        help=f"{advice.with_norms(graph, rectify(name))}{depth_budget.others(diagnosis)}",
        evidence=depth_budget.evidence(diagnosis),
        at=found,
        severity=depth_budget.severity(diagnosis),
    )


def stack(rule: StaticRule, graph: ModelGraph, *, zero_centred: bool, fewest: int, limit: float) -> Iterator[Finding]:
    """The information that saturating activations stand in a row."""
    from netcheck.trace.budget import Cause

    row = patterns.row_of_activations(graph, zero_centred=zero_centred, fewest=fewest)
    help = rectify(depth_budget.name_of(row.nodes))
    yield from patterns.pattern(rule, graph, Cause.SATURATION, row, help=help, limit=limit)


def rectify(name: str) -> str:
    """What to write in the place of a saturating activation."""
    initializer = depth_budget.initializer(2**0.5, saturates=False)
    return f"replace {name} by nn.ReLU() and initialize with `{initializer}` and zero biases"
