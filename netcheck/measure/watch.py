"""What listens to a real pass: takes samples of values on the way forward and of gradients on the way back.

A follower tells `Watch.heard` of the operations of the trace as they come again; where a run must be recorded to be
understood, the recorder tells `Watch.__call__`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from netcheck.measure.follow import can_be_heard
from netcheck.measure.inputs import is_ordinary
from netcheck.measure.sampling import largest, sampled
from netcheck.torch_versions import OpOverload
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
        end: the node whose value is the head's input; that of the result without a weight layer.
        head: the last weight layer.
        slot: which argument of the head its input is, by position or name; None if it is inside another one.
        starts: the embeddings that ways begin at; where inputs or a table get no gradient, the first nodes that learn.
        units: of each activation that is flat at 0 somewhere, the dimension that its units lie along.
        limits: of each saturating activation, the outputs beyond which its slope is below a tenth of its steepest.
        tables: the parameters that embeddings look rows up in; most rows of their gradients are zeros.
        followable: whether a follower hears all that is needed.
    """

    nodes: dict[str, Node]
    end: Node | None
    head: Node | None
    slot: int | str | None
    starts: dict[str, Node]
    units: dict[str, int]
    limits: dict[str, tuple[float, float]]
    tables: frozenset[str]
    followable: bool

    @classmethod
    def of(cls, graph: ModelGraph) -> Wires:
        """The wires of a graph."""
        head = Network(graph).head
        end = paths.main_output(graph) if head is None else next(iter(paths.sources(head)), None)
        slot = None if head is None or end is None else slot_of(head, end)
        nodes = {node.name: node for node in graph if is_profiled(node)}
        activations = [node for node in nodes.values() if node.kind is Kind.ACTIVATION]
        ranges = {node.name: linear_range(node.activation) for node in activations}
        embeddings = [node for node in graph if node.kind is Kind.EMBEDDING]
        trained = trained_names(graph)
        frozen = any(trained.isdisjoint(parameter_names(node)) for node in embeddings)  # such as of vectors that were read
        heard = end is None or slot is not None or (head is None and can_be_heard(end))
        return cls(
            nodes=nodes,
            end=end,
            head=head,
            slot=slot,
            starts={node.name: node for node in (first_that_learn(graph) if frozen else embeddings)},
            units={
                node.name: unit_dimension(node)
                for node in activations
                if node.shape and len(node.shape) > 1 and can_die(node.activation)
            },
            limits={name: found for name, found in ranges.items() if found is not None},
            tables=frozenset(name for node in embeddings for name in parameter_names(node)),
            followable=heard and not any(isinstance(node.fx.target, OpOverload) for node in graph),
        )

    def without_inputs(self, graph: ModelGraph) -> Wires:
        """The same where inputs get no gradient: it ends at what the first parameters give."""
        return replace(self, starts={node.name: node for node in first_that_learn(graph)})

    @property
    def head_learns_first(self) -> bool:
        """Whether nothing before the head learns: what arrives at its input has gone all the way."""
        return set(self.starts.values()) == {self.head}

    def heard(self) -> list[Node]:
        """The nodes that a follower must hear."""
        wanted = {self.head, self.end, *self.nodes.values(), *self.starts.values()}
        return [node for node in wanted if node is not None and can_be_heard(node)]


def trained_names(graph: ModelGraph) -> set[str]:
    """The names of the parameters that are not frozen."""
    every = graph.model.named_parameters(remove_duplicate=False)
    return {name for name, parameter in every if parameter.requires_grad}


def first_that_learn(graph: ModelGraph) -> Iterator[Node]:
    """The nodes whose value hangs on a parameter that is not frozen, and nothing before them does."""
    learning: set[Node] = set()
    trained = trained_names(graph)
    for node in graph:
        if learning.intersection(node.inputs):
            learning.add(node)
        elif node.op.startswith("call_") and not trained.isdisjoint(parameter_names(node)):
            learning.add(node)
            yield node


def slot_of(head: Node, end: Node) -> int | str | None:
    """Which argument of a call the value of `end` is; None if it is inside of one."""
    for position, argument in enumerate(head.fx.args):
        if argument is end.fx:
            return position
    return next((name for name, argument in head.fx.kwargs.items() if argument is end.fx), None)


def parameter_names(node: Node) -> list[str]:
    """The names of the parameters that an operation uses."""
    if node.module is not None:
        return [f"{node.path}.{name}".lstrip(".") for name, _ in node.module.named_parameters()]
    known = node.graph.recording.names
    return [name for source in node.inputs for name in known.get(str(source.fx.target), ())]


def is_profiled(node: Node) -> bool:
    """Whether an operation's numbers are worth taking."""
    floating = node.dtype is not None and node.dtype.is_floating_point
    return node.kind in PROFILED and node.live and node.carries and floating and node.grad_enabled


def unit_dimension(node: Node) -> int:
    """The dimension along which an activation's units lie: 1 behind a convolution, else the last."""
    source: Node | None = node
    while source is not None:
        if source.kind in CHANNELS_SECOND or (source.kind is Kind.NORM and source.detail in NORMS_OVER_POSITIONS):
            return 1
        if is_weight_layer(source):
            break
        source = next(iter(paths.sources(source)), None)
    return -1


def can_die(activation: behaviour.Activation | None) -> bool:
    """Whether an activation is 0 and flat over some range: a SiLU's 0 has a slope, and gets a gradient."""
    if activation is None:
        return True  # CReLU and the like, which are no function of one number
    values, slopes = behaviour.evaluated(activation.function, torch.linspace(-12, 12, 481, dtype=torch.float64))
    return int(((values == 0) & (slopes == 0)).sum()) > 1


def linear_range(activation: behaviour.Activation | None) -> tuple[float, float] | None:
    """The outputs between which an activation that is flat on both sides has at least a tenth of its steepest slope."""
    if activation is None or not activation.saturates:
        return None
    values, slopes = behaviour.evaluated(activation.function, torch.linspace(-12, 12, 4801, dtype=torch.float64))
    steep = values[slopes.abs() >= 0.1 * activation.steepest]
    return (float(steep.min()), float(steep.max())) if steep.numel() else None


@dataclass
class Watch:
    """Hears the operations of one real run; hooks each profiled tensor for its gradient.

    Attributes:
        values, gradients: samples by node name.
        sizes: how many numbers each value has.
        largest: magnitude of each unit by node name.
        end: the head's input, whole; None until it comes.
        starts: the embeddings' values, whole.
        deaf: whether gradients that come now are not those of the measurement.
    """

    wires: Wires
    known: dict[str, Node]
    values: dict[str, torch.Tensor] = field(default_factory=dict)
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    largest: dict[str, torch.Tensor] = field(default_factory=dict)
    end: torch.Tensor | None = None
    starts: list[torch.Tensor] = field(default_factory=list)
    deaf: bool = False
    hooks: list[Any] = field(default_factory=list)

    def __call__(self, call: Call, result: Any) -> Any:
        """Take what is wanted of a recorded operation's result, which stays as it is."""
        node = self.known.get(call.node.name)
        if node is not None and same_operation(node, call):
            if node is self.wires.end:
                self.end = first_tensor(result)
            self.take(node, result)
        return result

    def heard(self, node: Node, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """Take what is wanted of an operation that a follower heard."""
        if node is self.wires.head and self.wires.slot is not None:
            slot = self.wires.slot
            self.end = first_tensor(args[slot] if isinstance(slot, int) else kwargs[slot])
        elif node is self.wires.end and self.wires.head is None:
            self.end = first_tensor(result)
        self.take(node, result)

    def take(self, node: Node, result: Any) -> None:
        """Keep or profile the result of a node, if that is wanted."""
        name = node.name
        if name in self.wires.starts:
            self.starts += [tensor for _, tensor in structure.tensors(result)]
        if name in self.wires.nodes:
            self.profile(name, first_tensor(result))

    def profile(self, name: str, tensor: torch.Tensor) -> None:
        """Take samples of a value, and of its gradient when that comes."""
        if not (tensor.requires_grad and tensor.is_floating_point() and is_ordinary(tensor) and tensor.numel()):
            return
        self.values[name] = sampled(tensor)
        self.sizes[name] = tensor.numel()
        if name in self.wires.units and tensor.dim() > 1:
            self.largest[name] = largest(tensor, self.wires.units[name])
        self.hooks.append(tensor.register_hook(partial(self.arrived, name)))

    def release(self) -> None:
        """Let go of the run: its autograd graph holds the hooks, they hold this, and no collector sees that circle."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()
        self.starts.clear()
        self.end = None

    def forget(self) -> None:
        """Begin anew: the run went another way, and is repeated."""
        self.release()
        for taken in (self.values, self.gradients, self.sizes, self.largest):
            taken.clear()

    def arrived(self, name: str, gradient: torch.Tensor | None) -> None:
        """Take samples of a gradient; of several results of one operation, some get none."""
        if gradient is not None and not self.deaf:
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
        self.hooks: list[Any] = []

    def __call__(self, call: Call, result: Any) -> Any:
        """Look at an operation's result."""
        node = self.known.get(call.node.name)
        if node is None or not same_operation(node, call) or not node.depends:
            return result
        tensor = first_tensor(result)
        if not (tensor.is_floating_point() and is_ordinary(tensor)):
            return result
        value = tensor.detach()
        if self.forward is None and bool(value.isnan().any() or value.isposinf().any()):  # -inf masks attention scores
            self.forward = node
        if tensor.requires_grad:
            self.hooks.append(tensor.register_hook(partial(self.arrived, node)))
        return result

    def release(self) -> None:
        """As `Watch.release`."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def arrived(self, node: Node, gradient: torch.Tensor | None) -> None:
        """Look at a gradient."""
        if gradient is not None and not self.broken:
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
