"""NC302: a bias that the following normalization takes away."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netcheck.findings import Evidence, Finding, Severity, Verdict
from netcheck.rules.base import Example, Fixable, StaticRule
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    import torch

    from netcheck.trace.graph import ModelGraph, Node

_LINEAR_STEPS = ("identity", "cast", "pool", "resize", "reshape", "shift")
_FARTHEST = 100  # operations that a bias is followed through


class BiasBeforeNorm(StaticRule):
    """A layer's bias is subtracted again by the batch or instance normalization that follows.

    ## What it does
    Finds trained biases of linear and convolutional layers (also parameters that are added by hand) whose every use is a
    normalization over the same channels: batch and instance normalization, and group normalization with one channel a
    group. It follows the bias through pooling and reshaping, by running them on a bias alone.

    ## Why is this bad?
    The normalization subtracts the mean over the batch, and the bias with it: the output does not depend on it and its
    gradient is exactly zero. It costs memory and a kernel's time, and weight decay and optimizers still work on it. Nothing
    breaks: this is a note.

    ## When it is fine
    Before layer normalization, RMS normalization and group normalization over several channels, which do not take single
    channels' means away. Before a ReLU or dropout, even if a norm follows. Where the norm is frozen in eval mode.

    ## Evidence
    The number of bias parameters without effect. That they have none is computed, layer by layer.

    ## References
    - Ioffe & Szegedy 2015, Batch Normalization, section 3.2: "the bias b can be ignored".
    """

    code = "NC302"
    name = "bias-before-norm"
    severity = Severity.INFO
    plain = "A bias does nothing, since the normalization behind it subtracts it again"
    fixable = Fixable(
        "build the layer with `bias=False`",
        safe=True,
        note="a checkpoint's bias goes: subtract it from the `running_mean` of the norm",
    )
    BAD = (
        Example(
            "convolutions with the default bias",
            """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
)
""",
            "4x3x8x8",
        ),
        Example(
            "through pooling",
            """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8 * 9, 10)

    def forward(self, x):
        x = F.relu(self.norm(F.max_pool2d(self.conv(x), 2)))
        return self.head(x.flatten(1))

model = Net()
""",
            "4x3x8x8",
        ),
    )
    GOOD = (
        Example(
            "no bias before the norm",
            """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(),
    nn.Linear(8 * 16, 10),
)
""",
            "4x3x8x8",
        ),
        Example(
            "a ReLU between the bias and the norm",
            """
model = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10)
)
""",
            "4x3x8x8",
        ),
    )

    def check(self, graph: ModelGraph) -> Iterable[Finding]:
        """One finding for all such biases of a model."""
        leading = leading_to_norms(graph)
        found = [node for node in graph if node in leading and node.live and node.carries and is_removed(node)]
        if not found:
            return
        biases = {bias.name: bias.size for node in found if (bias := bias_of(node)) is not None}
        layers = f"{len(found)} layers have biases" if len(found) > 1 else "a layer has a bias"
        yield self.finding(
            f"{layers} that the normalization after it subtracts again",
            help="build the layer without: `bias=False`; the norm has a bias of its own",
            evidence=Evidence(
                sum(biases.values()),
                "parameters",
                f"{sum(biases.values()):,} bias parameters without effect, in {len(found)} layer{'s' if len(found) > 1 else ''}",
                limit=0,
            ),
            at=found,
            verdict=Verdict.CONFIRMED,
        )


@dataclass(frozen=True)
class Bias:
    """A trained vector that is added to a value: its name, its numbers, and the shape that it is broadcast from."""

    name: str
    size: int
    shape: tuple[int, ...]


def bias_of(node: Node) -> Bias | None:
    """The trained bias that an operation adds; None if it adds none."""
    if node.kind not in (Kind.LINEAR, Kind.CONV, Kind.SHIFT):
        return None
    ones = (1,) * (len(node.shape or ()) - 2) if node.kind is Kind.CONV else ()
    if node.module is not None:
        bias = node.member("bias")
        if bias is None or not bias.requires_grad:
            return None
        return Bias(f"{node.path}.bias", bias.numel(), (bias.numel(), *ones))
    if node.kind is Kind.SHIFT:
        operand = next((source for source in node.inputs if not source.depends), None)
    else:
        operand = node.argument(2, "bias") if node.function.startswith(("linear", "conv")) else None
    if operand is None or operand.fx.target not in node.graph.recording.names or not operand.shape:
        return None
    return Bias(operand.name, math.prod(operand.shape), (*operand.shape, *ones))


def is_removed(node: Node) -> bool:
    """Whether an operation that leads to norms adds a bias of which nothing is left behind them."""
    import torch

    bias = bias_of(node)
    if bias is None or node.shape is None:
        return False
    offset = torch.arange(1.0, bias.size + 1).reshape(bias.shape)
    return is_subtracted(node, offset.expand(node.shape))


def leading_to_norms(graph: ModelGraph) -> set[Node]:
    """The nodes whose every use is a norm, at once or after steps that are linear and mix no channels."""
    found: set[Node] = set()
    for node in reversed(graph.nodes):
        ends = (
            centres_channels(user) if user.kind == "norm" else user.kind in _LINEAR_STEPS and user in found for user in node.users
        )
        if node.users and all(ends):
            found.add(node)
    return found


def is_subtracted(node: Node, offset: torch.Tensor) -> bool:
    """Whether each of the norms that a value leads to takes an offset of it away; no, where the way is long."""
    pending, steps = [(node, offset)], 0
    while pending:
        source, carried = pending.pop()
        for user in source.users:
            steps += 1
            if user.kind == "norm":
                if not is_one_per_channel(carried):
                    return False
                continue
            after = carried if user.kind == "shift" else carried_through(user, source, carried)
            if after is None or steps > _FARTHEST:
                return False
            pending.append((user, after))
    return True


def centres_channels(norm: Node) -> bool:
    """Whether a norm subtracts the mean of each channel (dimension 1), as it will be trained."""
    in_training = norm.graph.model.training  # a whole model in eval mode was, or will be, trained in the other
    if norm.function in ("batch_norm", "native_batch_norm") and not norm.argument(5, "training", False):
        return not in_training
    if norm.module is None and norm.function not in (
        "batch_norm",
        "native_batch_norm",
        "instance_norm",
        "group_norm",
    ):
        return False  # written out: its channels are not known
    if norm.detail == "group":
        return bool(norm.shape) and norm.option("num_groups", 1) == norm.shape[1]  # type: ignore[index]
    if norm.detail == "batch":
        return norm.training or not in_training
    return norm.detail == "instance"


def is_one_per_channel(offset: torch.Tensor) -> bool:
    """Whether an offset is one number for each channel (dimension 1), the same everywhere."""
    if offset.dim() < 2:
        return False
    distinct = tuple(slice(0, 1) if step == 0 else slice(None) for step in offset.stride())  # expanded: all the same
    channels = offset[distinct].movedim(1, 0).flatten(1)
    return bool((channels == channels[:, :1]).all())


def carried_through(user: Node, node: Node, offset: torch.Tensor) -> torch.Tensor | None:
    """What a linear step makes of an offset; None where that cannot be told."""
    import torch

    from netcheck.trace.regions import run_step

    try:
        after = run_step(user, {node.fx: offset})
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError):
        return None
    return after if isinstance(after, torch.Tensor) and tuple(after.shape) == user.shape else None
