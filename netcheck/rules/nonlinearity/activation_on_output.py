"""NC106: a rectifier on the output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, StaticRule
from netcheck.rules.helpers.depth_budget import activation_name
from netcheck.trace.kinds import Kind
from netcheck.trace.questions.channels import widths
from netcheck.trace.questions.neighbours import UNCHANGED, before, ends, results

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

_BETWEEN = UNCHANGED | {Kind.DROPOUT, Kind.NORM, Kind.SHIFT, Kind.SCALE}
FAR = 1e6  # beyond the bounds of a clamp
_NARROWS = 2  # times fewer channels: a convolution that looks like a head rather than one more feature map


class ActivationOnOutput(StaticRule):
    """The last weight layer is followed by a rectifier (ReLU, leaky ReLU, PReLU, ...) where outputs look like
    logits.

    ## What it does
    Looks for a rectifier between the last linear or convolutional layer and a result of
    forward, directly or before a softmax. Counted as a head is a layer that gives each sample a vector, and a
    convolution that narrows its channels.

    ## Why is this bad?
    A loss on logits expects numbers of both signs. A ReLU cuts the negative ones off:
    classes with a negative logit all get the same probability and no gradient. A leaky ReLU or PReLU there
    only bends the scale.

    ## When it is fine
    The result is a vector of features, not of logits; a quantity that cannot be negative,
    given by a single ReLU or by softplus. Bounded outputs (sigmoid, tanh) are not meant.

    ## Evidence
    The sign of half of the outputs at initialization: a ReLU sets them to 0, and their gradient with them.

    ## References
    - Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.2.2: output units.
    """

    code = "NC106"
    name = "activation-on-output"
    severity = Severity.INFO
    plain = "Its outputs can never be negative, though they look like scores that should be"
    BAD = (
        Example(
            "ReLU after the classifier",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10), nn.ReLU())
""",
            "8x16",
        ),
        Example(
            "PReLU after the last layer of a loop",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 1)])
        self.activations = nn.ModuleList(nn.PReLU() for _ in range(3))

    def forward(self, x):
        for layer, activation in zip(self.layers, self.activations):
            x = activation(layer(x))
        return x

model = Net()
""",
            "8x16",
        ),
    )
    GOOD = (
        Example(
            "logits as they are",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
""",
            "8x16",
        ),
        Example(
            "bounded outputs",
            """
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8), nn.Tanh())
""",
            "8x16",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all rectified results."""
        found = list(dict.fromkeys(rectified_heads(graph)))
        if not found or graph.is_part:
            return
        activation, head = found[0]
        name = activation_name(activation)
        n_in, n_out = widths(head) or (0, 0)
        text = f"{n_out} outputs ({n_in} → {n_out}) pass {name}"
        yield self.finding(
            f"{name} after the last layer: the outputs cannot be logits of both signs",
            help=f"return the layer's value without {name}; for a positive quantity, `F.softplus`",
            evidence=Evidence(n_out, "rectified outputs", text, limit=0),
            at=[activation for activation, _ in found],
            verdict=Verdict.CONFIRMED,
        )


def rectified_heads(graph: ModelGraph) -> Iterator[tuple[Node, Node]]:
    """Each rectifier on a result of forward, with the head that it follows."""
    for _, last in results(graph, UNCHANGED | {Kind.SOFTMAX}):
        if last.kind is Kind.ACTIVATION and is_bending(last) and is_only_result(last):
            head = before(last, _BETWEEN)
            if head is not None and looks_like_head(head, last, graph):
                yield last, head


def is_bending(node: Node) -> bool:
    """A rectifier that changes signs or slopes; not softplus, which makes a number positive on purpose."""
    import torch

    from netcheck.rules.nonlinearity.stacked_activations import is_squasher_or_rectifier

    shape = node.activation
    if shape is None or node.detail or shape.saturates or not is_squasher_or_rectifier(node):
        return False
    least, low, at_zero, high, most = shape.function(
        torch.tensor([-FAR, -FAR / 2, 0.0, FAR / 2, FAR], dtype=torch.float64)
    ).tolist()
    is_range = least == low < 0 < high == most  # a clamp to a range on both sides of 0, as of logarithms of deviations
    return at_zero <= 0 and not is_range


def is_only_result(node: Node) -> bool:
    """Whether the model does nothing else with the value than return it."""
    return all(user.kind is Kind.OUTPUT for user in ends(node, UNCHANGED | {Kind.SOFTMAX}))


def looks_like_head(layer: Node, activation: Node, graph: ModelGraph) -> bool:
    """A layer that gives each sample a short vector, or a convolution that narrows its channels."""
    channels, shape = widths(layer), layer.shape or ()
    if channels is None or layer.kind not in (Kind.LINEAR, Kind.CONV):
        return False
    n_in, n_out = channels
    if any(source.shape == shape for source in graph.inputs):
        return False  # a block of constant width
    if n_out == 1:
        return gives_both_signs(activation)
    return len(shape) == 2 or n_in >= _NARROWS * n_out


def gives_both_signs(node: Node) -> bool:
    """A single ReLU may mean a quantity that is not negative; a PReLU cannot mean anything."""
    import torch

    assert node.activation is not None
    return bool((node.activation.function(torch.linspace(-4, 0, 9, dtype=torch.float64)) < 0).any())
