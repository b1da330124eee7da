"""The operations of one forward pass: `Node` is one, `Nodes` holds them in the order in which forward ran them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from netcheck.location import Location
from netcheck.source.places import built_at
from netcheck.trace import places
from netcheck.trace.behaviour import Activation
from netcheck.trace.calls import Transformed
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.source.locate import Definition
    from netcheck.trace.recording import Call, Recording


class Node:
    """One operation of the traced model.

    Attributes:
        fx: the torch.fx node.
        index: position in execution order.
        activation: the measured behaviour of an activation.
        pieces: how many linear pieces a maxout takes the largest of.
        over: the dimension of a softmax that is written out.
        kind: what the operation is, whether it was written as a module, a function, a method or an operator.
        detail: its sort ("batch" of a norm, "channel" of a dropout); see `netcheck.trace.kinds`.
        depends: whether its value depends on the model's input.
        random: whether it is, or is made of, fresh random numbers (and not of the input).
        carries: whether a gradient flows through it to the input (or to an embedding).
        inputs: the nodes whose values it takes, in order of its arguments, each once.
        users: the nodes that take its value and that the result depends on, in execution order.
        live: whether the result depends on it (an identity that handed its input through does not count).
        outdated: of its inputs, those that it reads by a reference from before an in-place operation changed their value.
        shape, dtype: of its value, or of the first tensor in it; None if it holds none.
        module: the leaf module called, or None.
        path: the module's qualified name; for a function, that of the module whose forward called it.
        grad_enabled: False where forward ran it under `torch.no_grad()`.
        training: the training flag of the module (for a function, of the module whose forward called it).
    """

    __slots__ = (
        "__dict__", "activation", "answers", "call", "carries", "depends", "detail", "dtype", "fx", "graph", "index", "inputs",
        "kind", "live", "module", "outdated", "over", "path", "pieces", "random", "shape", "users",
    )  # fmt: skip

    def __init__(self, graph: Nodes, index: int, node: fx.Node, call: Call | None) -> None:
        self.graph = graph
        self.index = index
        self.fx = node
        self.call = call
        self.answers: dict[Callable[..., Any], Any] = {}
        self.kind = Kind.UNKNOWN
        self.detail = ""
        self.depends = False
        self.carries = False
        self.activation: Activation | None = None
        self.pieces = 1
        self.over: int | None = None
        self.live = False
        self.random = False
        self.inputs: tuple[Node, ...] = ()
        self.outdated: tuple[Node, ...] = ()
        self.users: list[Node] = []
        self.module = call.module if call else None
        self.path = call.path if call else ""
        described = call.result if call else None
        first = described[0] if isinstance(described, list) else described
        self.shape: tuple[int, ...] | None = first[0] if first else None
        self.dtype: torch.dtype | None = first[1] if first else None

    def __repr__(self) -> str:
        return f"<{self.name}: {self.kind} {self.target} {self.shape}>"

    @property
    def name(self) -> str:
        """The torch.fx name, unique in the graph."""
        return self.fx.name

    @property
    def op(self) -> str:
        """placeholder, get_attr, call_module, call_function, call_method or output."""
        return self.fx.op

    @cached_property
    def target(self) -> str:
        """What is called, as a person writes it: "nn.Conv2d", "F.relu", "torch.cat", "Tensor.view"."""
        if self.module is not None:
            return class_name(type(self.module))
        return function_name(self.fx)

    @cached_property
    def function(self) -> str:
        """The bare name of a called function or method: "relu" for `F.relu`, `torch.relu` and `x.relu_()`."""
        if self.op == "call_method":
            return str(self.fx.target).strip("_")
        if self.op == "call_function":
            return str(getattr(self.fx.target, "__name__", "")).strip("_").removesuffix(".default")
        return ""

    @property
    def owner(self) -> str:
        """The class name of the module whose forward made the call; "" outside of any."""
        return type(self.call.owner).__name__ if self.call and self.call.owner is not None else ""

    @property
    def grad_enabled(self) -> bool:
        """Whether autograd was on."""
        return self.call is None or self.call.grad_enabled

    @property
    def training(self) -> bool:
        """Whether the module was in training mode."""
        return self.call is None or self.call.training

    @cached_property
    def called_at(self) -> Location | None:
        """The user's line in forward that made this call; of an input, its place in the signature of forward."""
        if self.op == "placeholder":
            return places.parameter(self.graph.model, str(self.fx.target))
        return places.called(self.call.code, self.call.instruction) if self.call else None

    @cached_property
    def built_at(self) -> Location | None:
        """The line that built the module (for a function: the module whose forward called it); None if not found."""
        return self.graph.built_at(self.path) if self.call else None

    def member(self, name: str) -> torch.Tensor | None:
        """A tensor that the module holds under that name; None without one (a quantized layer's weight is a method)."""
        value = getattr(self.module, name, None)
        return value if isinstance(value, torch.Tensor) else None

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument of a function call by position or keyword; tensors are given as their `Node`."""
        value = self.fx.kwargs.get(name, self.fx.args[position] if position < len(self.fx.args) else default)
        return self.graph.by_fx.get(value, value) if isinstance(value, fx.Node) else value

    def option(self, name: str, position: int, default: Any = None) -> Any:
        """A setting that a module has as an attribute and a function as an argument (`p` of dropout)."""
        return getattr(self.module, name, default) if self.module is not None else self.argument(position, name, default)


class Nodes:
    """All operations of one forward pass.

    Attributes:
        model: the user's model (of a lazy model: an initialized copy).
        recording: what the recorder heard.
        nodes: the operations, in the order in which forward ran them.
        by_fx: the same, by their torch.fx nodes.
        lost: nodes that stand for tensors which no recorded operation made.
        origin: the function or variable that the model came from, where its class does not tell how it was built.
        kept: nodes whose values forward left behind in the model: attributes that it set, buffers that it wrote to.
        sized: nodes whose shape, type or device forward looked at.
        answers: to what was asked about it; see `netcheck.trace.question`.
    """

    def __init__(self, model: nn.Module, recording: Recording) -> None:
        self.model = model
        self.recording = recording
        self.origin: Definition | None = None
        self.answers: dict[Callable[..., Any], Any] = {}
        self.nodes = [Node(self, i, node, recording.calls.get(node)) for i, node in enumerate(recording.graph.nodes)]
        self.by_fx = {node.fx: node for node in self.nodes}
        for node in self.nodes:
            node.inputs = tuple(self.by_fx[fx_input] for fx_input in node.fx.all_input_nodes)
            node.outdated = tuple(self.by_fx[fx_input] for fx_input in node.call.outdated) if node.call else ()
        for node in self._find_live():
            for source in node.inputs:
                source.users.append(node)
        self.lost = [self.by_fx[node] for node in recording.lost]
        self.kept = [self.by_fx[node] for node in dict.fromkeys((*recording.kept, *recording.written))]
        self.sized = {self.by_fx[node] for node in recording.sized}

    def _find_live(self) -> list[Node]:
        """Mark the nodes that the result depends on, and return them in execution order."""
        for node in reversed(self.nodes):
            node.live = node.live or node.op == "output"
            if node.live:
                for source in node.inputs:
                    source.live = True
        return [node for node in self.nodes if node.live]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def class_name(self) -> str:
        """The model's class."""
        return type(self.model).__name__

    @property
    def inputs(self) -> list[Node]:
        """The arguments of forward."""
        return [node for node in self.nodes if node.op == "placeholder"]

    @property
    def outputs(self) -> list[Node]:
        """The nodes whose values forward returned, in order; those inside a returned object too."""
        pending, found = list(reversed(self.nodes[-1].inputs)), dict[Node, None]()
        opened: set[Node] = set()
        while pending:
            node = pending.pop()
            if node.function in ("assemble", "container"):
                pending += reversed(node.inputs) if node not in opened else ()
                opened.add(node)
            elif node.depends:
                found[node] = None
        return list(found)

    @property
    def returned(self) -> list[Node]:
        """`outputs`, or the constants that forward returned in their place."""
        return self.outputs or [node for node in self.nodes[-1].inputs if node.shape is not None]

    @cached_property
    def reads(self) -> list[Node]:
        """The nodes whose values forward looked at: only the recorded path was seen. Known once the graph is classified."""
        reads = dict.fromkeys(self.by_fx[node] for node in self.recording.reads)
        return [node for node in reads if node.depends]

    @cached_property
    def used(self) -> set[Node]:
        """The nodes that the result, a value that forward looked at, or anything that it left behind depends on."""
        pending = [*(node for node in self.nodes if node.op == "output"), *self.reads, *self.kept]
        used = set(pending)
        while pending:
            for source in pending.pop().inputs:
                if source not in used:
                    used.add(source)
                    pending.append(source)
        return used

    @cached_property
    def _built(self) -> dict[str, Location]:
        return built_at(self.model, self.origin)

    def built_at(self, path: str) -> Location | None:
        """The line that built the submodule `path`; None where no source tells."""
        return self._built.get(path) or places.built_outside(self.model, path, self.origin)


def class_name(cls: type) -> str:
    """A module's class as a person writes it: "nn.Conv2d" for torch's own, the bare name for the user's."""
    return f"nn.{cls.__name__}" if cls.__module__.startswith("torch.nn.modules.") else cls.__name__


def function_name(node: fx.Node) -> str:
    """A call's target as a person writes it."""
    if node.op in ("placeholder", "get_attr", "output"):
        return str(node.target)
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    name = str(getattr(node.target, "__name__", node.target))
    if isinstance(node.target, Transformed):
        return f"torch.func.{name}"
    origin = str(getattr(node.target, "__module__", "") or "")
    if origin in ("torch.nn.functional", "torch._C._nn"):
        return f"F.{name}"
    if origin in ("_operator", "operator"):
        return f"operator.{name}"
    return f"torch.{name}" if origin.startswith("torch") or hasattr(torch, name) else name
