"""The recorder's listener during a real pass: takes samples of values on the way forward and of gradients on the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from netcheck.measure.sampling import dead_share, sampled
from netcheck.trace import behaviour, paths, structure
from netcheck.trace.gain import Network
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.node import function_name

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.recording import Call

# The rest (reshapes, slices, casts) shows the same numbers again.
PROFILED = frozenset((
    Kind.LINEAR, Kind.CONV, Kind.EMBEDDING, Kind.RECURRENT, Kind.ATTENTION, Kind.MATMUL, Kind.ACTIVATION, Kind.SOFTMAX, Kind.NORM,
    Kind.ADD, Kind.GATE, Kind.CAT, Kind.POOL, Kind.UNKNOWN, Kind.SCRIPT,
))  # fmt: skip
CHANNELS_SECOND = (Kind.CONV, Kind.POOL)
NORMS_OVER_POSITIONS = ("batch", "instance", "group")


@dataclass(frozen=True)
class Wires:
    """Which of a graph's nodes the probe looks at, by name.

    Attributes:
        nodes: those that are profiled.
        end: the node whose value is the head's input; None without a weight layer.
        starts: the embeddings that ways begin at.
        units: of each activation, the dimension that its units lie along.
        limits: of each saturating activation, the outputs beyond which its slope is below a tenth of its steepest.
    """

    nodes: dict[str, Node]
    end: Node | None
    starts: frozenset[str]
    units: dict[str, int]
    limits: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, graph: ModelGraph) -> Wires:
        """The wires of a graph."""
        network = Network(graph)
        end = (
            next(iter(paths.sources(network.head)), None)
            if network.head is not None
            else paths.main_output(graph)
        )
        nodes = {node.name: node for node in graph if is_profiled(node)}
        activations = [node for node in nodes.values() if node.kind is Kind.ACTIVATION]
        return cls(
            nodes,
            end,
            frozenset(node.name for node in graph if node.kind is Kind.EMBEDDING),
            {node.name: unit_dimension(node) for node in activations if node.shape and len(node.shape) > 1},
            {
                node.name: found
                for node in activations
                if (found := linear_range(node.activation)) is not None
            },
        )


def is_profiled(node: Node) -> bool:
    """Whether an operation's numbers are worth taking."""
    floating = node.dtype is not None and node.dtype.is_floating_point
    return node.kind in PROFILED and node.live and node.carries and floating and node.grad_enabled


def unit_dimension(node: Node) -> int:
    """The dimension along which an activation's units lie: 1 behind a convolution, else the last."""
    source: Node | None = node
    while source is not None:
        if source.kind in CHANNELS_SECOND or (
            source.kind is Kind.NORM and source.detail in NORMS_OVER_POSITIONS
        ):
            return 1
        if is_weight_layer(source):
            break
        source = next(iter(paths.sources(source)), None)
    return -1


def linear_range(activation: behaviour.Activation | None) -> tuple[float, float] | None:
    """The outputs between which an activation that is flat on both sides has at least a tenth of its steepest slope."""
    if activation is None or not activation.saturates:
        return None
    values, slopes = behaviour.evaluated(
        activation.function, torch.linspace(-12, 12, 4801, dtype=torch.float64)
    )
    steep = values[slopes.abs() >= 0.1 * activation.steepest]
    return (float(steep.min()), float(steep.max())) if steep.numel() else None


@dataclass
class Watch:
    """Hears every operation of one real run; hooks each profiled tensor for its gradient.

    Attributes:
        values, gradients: samples by node name.
        sizes: how many numbers each value has.
        dead: share of dead units by node name.
        kept: whole tensors by node name: the head's input, and the embeddings.
    """

    wires: Wires
    known: dict[str, Node]
    values: dict[str, torch.Tensor] = field(default_factory=dict)
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    dead: dict[str, torch.Tensor] = field(default_factory=dict)
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    hooks: list[Any] = field(default_factory=list)

    def __call__(self, call: Call, result: Any) -> Any:
        """Take what is wanted of an operation's result, which stays as it is."""
        node = self.known.get(call.node.name)
        if node is None or not same_operation(node, call):
            return result
        name = node.name
        if node is self.wires.end or name in self.wires.starts:
            self.kept[name] = first_tensor(result)
        if name in self.wires.nodes:
            self.profile(name, first_tensor(result))
        return result

    def profile(self, name: str, tensor: torch.Tensor) -> None:
        """Take samples of a value, and of its gradient when that comes."""
        if not tensor.requires_grad or not tensor.is_floating_point():
            return
        self.values[name] = sampled(tensor)
        self.sizes[name] = tensor.numel()
        if name in self.wires.units and tensor.dim() > 1:
            self.dead[name] = dead_share(tensor, self.wires.units[name])
        self.hooks.append(tensor.register_hook(partial(self.arrived, name)))

    def release(self) -> None:
        """Let go of the run: its autograd graph holds the hooks, they hold this, and no collector sees that circle."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()
        self.kept.clear()

    def arrived(self, name: str, gradient: torch.Tensor) -> None:
        """Take samples of a gradient."""
        self.gradients[name] = sampled(gradient)


class FiniteWatch:
    """Finds the operation that first makes a NaN or an infinity. Looks at every number: used when something went wrong.

    Attributes:
        forward: the first node whose value is not finite.
        backward: in the order of the backward pass, the last node whose gradient was still finite.
    """

    def __init__(self, known: dict[str, Node]) -> None:
        self.known = known
        self.forward: Node | None = None
        self.broken = False  # a gradient that is not finite has come
        self.backward: Node | None = None

    def __call__(self, call: Call, result: Any) -> Any:
        """Look at an operation's result."""
        node = self.known.get(call.node.name)
        if node is None or not same_operation(node, call) or not node.depends:
            return result
        tensor = first_tensor(result)
        if not tensor.is_floating_point():
            return result
        value = tensor.detach()
        if self.forward is None and bool(
            value.isnan().any() or value.isposinf().any()
        ):  # -inf masks attention scores
            self.forward = node
        if tensor.requires_grad:
            tensor.register_hook(partial(self.arrived, node))
        return result

    def arrived(self, node: Node, gradient: torch.Tensor) -> None:
        """Look at a gradient."""
        if not self.broken:
            self.broken = not bool(gradient.isfinite().all())
            if not self.broken:
                self.backward = node


Listener = Callable[["Call", Any], Any]


def same_operation(node: Node, call: Call) -> bool:
    """Whether the real run is where the traced one was: names are numbered, so another path may reuse one."""
    if node.op != call.node.op or node.path != call.path:
        return False
    return call.module is not None or function_name(node.fx) == function_name(call.node)


def first_tensor(result: Any) -> torch.Tensor:
    """The first tensor in an operation's result."""
    if isinstance(result, torch.Tensor):
        return result
    return next((tensor for _, tensor in structure.tensors(result)), torch.zeros(0))
