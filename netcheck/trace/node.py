"""One operation of a traced model."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from netcheck.findings import Location
from netcheck.trace import paths, places
from netcheck.trace.behaviour import Activation
from netcheck.trace.calls import Transformed
from netcheck.trace.kinds import Kind
from netcheck.trace.windows import Window, find_windows

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph
    from netcheck.trace.recording import Call
    from netcheck.trace.weights import Weight


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
        "__dict__", "activation", "call", "carries", "depends", "detail", "dtype", "fx", "graph", "index", "inputs", "kind",
        "live", "module", "outdated", "over", "path", "pieces", "random", "shape", "users",
    )  # fmt: skip

    def __init__(self, graph: ModelGraph, index: int, node: fx.Node, call: Call | None) -> None:
        self.graph = graph
        self.index = index
        self.fx = node
        self.call = call
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

    @cached_property
    def sources(self) -> list[Node]:
        """The inputs that a gradient flows on to; none where a way begins. Known once the graph is classified."""
        return paths.find_sources(self)

    @cached_property
    def weight(self) -> Weight | None:
        """What a weight layer multiplies by; None where it has no values (meta device) or is no single matrix."""
        from netcheck.trace.weights import read

        return read(self)

    @cached_property
    def trained_matrices(self) -> list[torch.Tensor]:
        """Every weight matrix (n_out, fan_in) of a layer that trains and has values."""
        from netcheck.trace.weights import find_trained_matrices

        return find_trained_matrices(self)

    @cached_property
    def windows(self) -> tuple[Window, ...] | None:
        """The windows of a convolution or a pooling, outer dimension first; None for anything else."""
        return find_windows(self)

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
