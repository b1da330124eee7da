"""NC104: an activation directly on an activation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.rules.helpers.depth_budget import activation_name
from netcheck.trace.kinds import FUNCTIONS, Kind
from netcheck.trace.questions.neighbours import UNCHANGED, before, ends

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import ModelGraph, Node

_DIRECT = UNCHANGED | {Kind.DROPOUT}
_GUARDS = frozenset(("clamp", "clip", "clamp_min", "clamp_max", "maximum", "minimum", "max", "min"))
_FAR = 100.0  # beyond the epsilon of any guard against log(0): sigmoid(-100) is 4e-44
_SAME = 1e-12


class StackedActivations(StaticRule):
    """An activation is applied to what another activation made, with no weights between.

    ## What it does
    Looks for an activation whose input is another activation's output, at most reshaped,
    dropped out or max-pooled. Both are taken by what they compute, so `F.relu` and `clamp(min=0)` are one.

    ## Why is this bad?
    A rectifier of a rectifier does nothing: usually a layer was meant to stand between,
    or a block that ends in an activation is called by code that applies one again. A squashing function of a
    squashing function is nearly constant: sigmoid(sigmoid(x)) stays between 0.50 and 0.73, and its slope is
    at most 1/16. A sigmoid of a rectifier never falls below one half, so it cannot say no.

    ## When it is fine
    Where the first value is used elsewhere, too (the first block of a pre-activation net);
    clamps that guard a logarithm or an exponential; several functions that make up one activation, such as x
    · tanh(softplus(x)).

    ## Evidence
    Both functions are evaluated in turn on a grid from -100 to 100.

    ## References
    - Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks:
    saturation.
    """

    code = "NC104"
    name = "stacked-activations"
    severity = Severity.WARNING
    plain = "An activation is applied to what another activation made, which takes away signal and adds nothing"
    fixable = Fixable("take out the second", safe=True, note="where it changes outputs, it is unsafe")
    BAD = (
        Example(
            "a block ends in ReLU, and forward applies another",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(16, 32), nn.ReLU())
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(F.relu(self.block(x)))

model = Net()
""",
            "8x16",
        ),
        Example(
            "the last layer is rectified, then squashed",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.ReLU(), nn.Sigmoid())
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "a layer between",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
""",
            "8x16",
        ),
        Example(
            "one activation written as several functions",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.tanh(F.softplus(x)))

model = Net()
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all places where the same two functions stand in a row."""
        stacks: dict[tuple[str, str], list[Stack]] = {}
        for node in graph:
            if node.kind is Kind.ACTIVATION and node.live and node.carries and (stack := stack_at(node)):
                names = activation_name(stack.first), activation_name(stack.second)
                stacks.setdefault(names, []).append(stack)
        for (first, second), found in stacks.items():
            stack = found[0]
            yield self.finding(
                f"{second} directly on {first}: {stack.effect}",
                help=f"remove one of the two; if a layer was meant to be between, add it{stack.advice}",
                evidence=stack.evidence,
                at=[each.second for each in found],
                verdict=Verdict.CONFIRMED,
            )


@dataclass(frozen=True)
class Stack:
    """Two activations in a row, and what comes of it."""

    first: Node
    second: Node
    effect: str
    evidence: Evidence
    advice: str = ""


def stack_at(second: Node) -> Stack | None:
    """The stack that ends in the activation `second`, if the two are none on purpose."""
    first = hidden_activation(second) or activation_before(second)
    if first is None or not is_squasher_or_rectifier(second):
        return None
    if ends(first, _DIRECT | {Kind.POOL}) != [second]:
        return None
    before_it, after_it = values_through(first, second)
    if not bool(after_it.isfinite().all()) or float(after_it.max() - after_it.min()) == 0:
        return None  # nothing at all gets through: dead-rectifier says so
    unchanged = bool(((after_it - before_it).abs() <= _SAME * (1 + before_it.abs())).all())
    if is_guard(first) or is_guard(second):
        assert second.activation is not None
        if not (unchanged and second.activation.rectifies):
            return None
    return judged(first, second, before_it, after_it, unchanged=unchanged)


def judged(first: Node, second: Node, before_it: torch.Tensor, after_it: torch.Tensor, *, unchanged: bool) -> Stack:
    """What the second makes of the first's values, in words and a number."""
    one, two = activation_name(first), activation_name(second)
    low, high = float(after_it.min()), float(after_it.max())
    if unchanged:
        text = f"largest change by {two} on the outputs of {one}: 0"
        return Stack(first, second, "the second does nothing", Evidence(0.0, "change", text, limit=0.0))
    assert second.activation is not None
    if second.activation.saturates:
        reach = second.activation.function(before_it.new_tensor([-_FAR, _FAR]))
        share = (high - low) / float((reach[1] - reach[0]).abs())
        text = f"outputs stay between {low:.2f} and {high:.2f}, {share:.0%} of the range of {two}"
        advice = f"; keep {two} if you want its range"
        effect = f"its outputs stay between {low:.2f} and {high:.2f}"
        return Stack(first, second, effect, Evidence(share, "of the range", text, limit=1.0), advice)
    text = f"{one} and {two} with 0 weight layers between"
    return Stack(first, second, "no weights stand between them", Evidence(0, "weight layers", text, limit=1))


def activation_before(node: Node) -> Node | None:
    """The activation or softmax that `node` works on, also through max pooling."""
    first = before(node, _DIRECT)
    while first is not None and first.kind is Kind.POOL and first.detail == "max":
        first = before(first, _DIRECT)
    if first is None or first is node:
        return None
    return first if first.kind is Kind.SOFTMAX or is_squasher_or_rectifier(first) else None


def hidden_activation(clamp: Node) -> Node | None:
    """The activation that a clamp works on, where the tracer took the two for one function."""
    if not is_guard(clamp):
        return None
    parts = [source for source in clamp.inputs if source.detail == f"of {clamp.name}"]
    return next((part for part in parts if part.activation is not None and is_named(part)), None)


def is_squasher_or_rectifier(node: Node) -> bool:
    """An activation in the narrow sense: squares, sines and absolute values are arithmetic."""
    shape = node.activation if node.kind is Kind.ACTIVATION else None
    if shape is None or shape.linear:
        return False
    return is_named(node) or shape.saturates or shape.rectifies


def is_named(node: Node) -> bool:
    """Whether PyTorch, or the user's module, calls it an activation."""
    return node.module is not None or FUNCTIONS.get(node.function) == (Kind.ACTIVATION, "")


def is_guard(node: Node) -> bool:
    """A clamp, which people also write to keep numbers out of trouble."""
    return node.module is None and node.function in _GUARDS


def values_through(first: Node, second: Node) -> tuple[torch.Tensor, torch.Tensor]:
    """The values of `first` and of `second` after it, on a grid of inputs (n,)."""
    import torch

    grid = torch.linspace(-_FAR, _FAR, 4001, dtype=torch.float64)
    with torch.no_grad():
        if first.kind is Kind.SOFTMAX:
            values = grid - _FAR if first.detail == "log" else (grid + _FAR) / (2 * _FAR)
        else:
            assert first.activation is not None
            values = first.activation.function(grid)
        assert second.activation is not None
        joint = first.kind is Kind.PART  # the second's function begins where the first's does
        return values, second.activation.function(grid if joint else values)
