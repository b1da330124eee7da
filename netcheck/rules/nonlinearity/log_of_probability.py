"""NC114: the logarithm of a softmax or sigmoid, computed in two steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

# How far below the largest one, or below 0, a whole logit first has the probability 0: measured on the CPU, torch 2.13.
_ZERO = {
    "softmax": {"float16": 18, "bfloat16": 93, "float32": 104, "float64": 746},
    "sigmoid": {"float16": 18, "bfloat16": 89, "float32": 89, "float64": 710},
}
_THROUGH = (Kind.RESHAPE, Kind.CAST, Kind.IDENTITY, Kind.INDEX)
_TOGETHER = {"softmax": "F.log_softmax(x, dim)", "sigmoid": "F.logsigmoid(x)"}


class LogOfProbability(StaticRule):
    """The logarithm is taken of a softmax or sigmoid: where a probability is too small for a number it is minus infinity.

    ## What it does
    Looks for a logarithm right behind a softmax or a sigmoid. Not where something is added to the probabilities first, or where
    they are cut off below.

    ## Why is this bad?
    exp(-104) is 0 in float32. A logit that is so far below the largest one has the probability 0, the logarithm -inf, and a
    gradient that is not a number (a sigmoid's from 89 below 0). It begins in the middle of training, when the net has become sure
    of something, or at once with large logits. `log_softmax` and `logsigmoid` compute the same from the logits, and stay finite.

    ## When it is fine
    Where the logits are bounded.

    ## Evidence
    How far a logit may lie below the largest one until its probability is 0.

    ## References
    - PyTorch documentation of torch.nn.functional.log_softmax: "doing these two operations separately is slower and numerically
      unstable".
    - Blanchard, Higham and Higham 2021, Accurately computing the log-sum-exp and softmax functions, section 1.
    """

    code = "NC114"
    name = "log-of-probability"
    severity = Severity.WARNING
    plain = "It takes the logarithm of probabilities that can be 0: one sure answer makes the loss infinite"
    BAD = (
        Example(
            "the logarithm of a softmax",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return torch.log(F.softmax(self.head(torch.relu(self.hidden(x))), dim=1))

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "log_softmax",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        return F.log_softmax(self.head(torch.relu(self.hidden(x))), dim=1)

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such logarithms."""
        logarithms = (node for node in graph if node.function in ("log", "log2", "log10") and node.live)
        found = [(node, source) for node in logarithms if (source := squashed(node)) is not None]
        if not found:
            return
        source = found[0][1]
        name = name_of(source)
        distance, below = _ZERO[name][dtype_of(source)], "below the largest one" if name == "softmax" else "below 0"
        yield self.finding(
            f"logarithm of a {name}: a logit {distance} {below} has probability 0, the logarithm -inf and a gradient of NaN",
            help=f"compute both at once, from the logits: {_TOGETHER[name]}; it is the same number where this is one",
            evidence=Evidence(distance, below, f"-inf from {distance} {below} ({dtype_of(source)})"),
            at=[node for node, _ in found],
            verdict=Verdict.CONFIRMED,
        )


def squashed(node: Node) -> Node | None:
    """The softmax or sigmoid that a logarithm is taken of, as it is, or of some of its entries."""
    while (source := next((one for one in node.inputs if one.depends), None)) is not None:
        if name_of(source) in _ZERO:
            return source if dtype_of(source) in _ZERO["softmax"] else None
        if source.kind not in _THROUGH:
            return None
        node = source
    return None


def name_of(node: Node) -> str:
    """What an operation is called as a function: "softmax" of a module, too."""
    name = node.function or type(node.module).__name__.lower()
    return {"softmax2d": "softmax", "expit": "sigmoid"}.get(name, name)


def dtype_of(node: Node) -> str:
    """The name of a value's precision, such as "float32"."""
    return str(node.dtype).removeprefix("torch.")
