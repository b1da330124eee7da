"""The traced model: a torch.fx graph whose nodes know their kind, shape, module and place in the source.

    nn.Sequential(nn.Linear(8, 4), nn.Tanh())        on a (2, 8) tensor

    name     op           target      kind         shape    path
    input_1  placeholder  input       input        (2, 8)
    _0       call_module  nn.Linear   linear       (2, 4)   "0"
    _1       call_module  nn.Tanh     activation   (2, 4)   "1"
    output   output       output      output

`Node` wraps one torch.fx node; `ModelGraph` holds them in the order in which forward ran them, and answers for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from netcheck.errors import TraceError
from netcheck.findings import Layer, Summary
from netcheck.trace import paths
from netcheck.trace.budget import Diagnosis, diagnosis
from netcheck.trace.classify import classify
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.members import Member, Submodule
from netcheck.trace.network import network, new_parameters
from netcheck.trace.node import Node, Nodes
from netcheck.trace.residual import Residual, residuals

if TYPE_CHECKING:
    from netcheck.figures.network import Network
    from netcheck.trace.recording import Recording

_SHOWN = frozenset((
    Kind.LINEAR, Kind.CONV, Kind.EMBEDDING, Kind.RECURRENT, Kind.ATTENTION, Kind.ACTIVATION, Kind.SOFTMAX, Kind.NORM,
    Kind.DROPOUT, Kind.ADD, Kind.POOL, Kind.UNKNOWN, Kind.SCRIPT,
))  # fmt: skip


class ModelGraph(Nodes):
    """What one forward pass of a model does.

    What `Nodes` has, and:

    Attributes:
        tensors: "fake" if nothing was computed, "real" if forward needed values.
        example: the arguments (args, kwargs) that forward was run on.
        again: traces the same call in training mode, or in eval mode.
        is_part: whether another model holds this one: what it returns is not the output of a model.
    """

    def __init__(
        self,
        model: nn.Module,
        recording: Recording,
        *,
        tensors: str,
        example: tuple[tuple[Any, ...], dict[str, Any]] = ((), {}),
        again: Callable[[ModelGraph, bool], ModelGraph] | None = None,
    ) -> None:
        super().__init__(model, recording)
        self.tensors = tensors
        self.example = example
        self.is_part = False
        self._again = again
        self._in_mode: dict[bool, ModelGraph] = {}
        classify(self)

    @cached_property
    def module(self) -> fx.GraphModule:
        """A torch.fx.GraphModule that computes what the model computed. It shares the model's parameters and leaf modules.

        Raises:
            TraceError: it would compute something else; the sentence says why.
        """
        if self.frozen:
            raise TraceError(
                f"the graph of {self.class_name} cannot be run in its place: {'; '.join(self.frozen)}",
                help="run the model itself",
            )
        root = nn.Module()
        root.training = self.model.training
        for name in sorted(self.recording.attributes, key=lambda name: name.count(".")):
            install(root, name.split("."), self.recording.attributes[name])
        return fx.GraphModule(root, self.recording.graph, class_name=self.class_name)

    @property
    def frozen(self) -> list[str]:
        """Why the graph would compute something else than the model, where it would; a sentence each."""
        lost = ["forward uses tensors that no recorded operation made"] if self.lost else []
        return [*lost, *dict.fromkeys(self.recording.frozen)]

    @cached_property
    def submodules(self) -> list[Submodule]:
        """Every module that the model holds, registered or not, each once; those that forward made itself come last."""
        census, nodes = self.recording.census, dict[int, list[Node]]()
        for node in self.nodes:
            if node.module is not None:
                nodes.setdefault(id(node.module), []).append(node)
        leaves = {id(node.module): node.module for node in self.nodes if node.module is not None}
        inside = {id(part) for leaf in leaves.values() if leaf._modules for part in leaf.modules()}
        called = self.recording.entered | leaves.keys() | inside
        return [
            Submodule(self, names[0], module, key in census.registered, key in called, tuple(nodes.get(key, ())))
            for key, (module, names) in census.modules.items()
        ]

    @cached_property
    def members(self) -> list[Member]:
        """Every tensor that the model holds, each once."""
        census, readers = self.recording.census, dict[str, list[Node]]()
        unregistered = set(census.unregistered_tensors)
        for node in self.nodes:
            if node.op == "get_attr":
                readers.setdefault(str(node.fx.target), []).append(node)
        found = []
        for tensor, (name, *_) in census.tensors.values():
            owner = self._by_path.get(name.rpartition(".")[0])
            module = owner.module if owner is not None else self.model
            nodes = tuple(readers.get(name, ()))
            found.append(Member(self, name, tensor, name not in unregistered, module, nodes))
        return found

    def submodule(self, path: str) -> Submodule:
        """The module of that name.

        Raises:
            KeyError: there is none.
        """
        return self._by_path[path]

    @cached_property
    def _by_path(self) -> dict[str, Submodule]:
        return {submodule.path: submodule for submodule in self.submodules}

    @property
    def depth(self) -> int:
        """The most weight layers on any way from input to output."""
        return paths.depth(self)

    @property
    def plain_depth(self) -> int:
        """The fewest weight layers on any way from input to output: what a gradient cannot avoid.

        Residual connections are ways around. ResNet-50 has 50 weight layers in depth and a plain depth of 6.
        """
        return paths.plain_depth(self)

    @property
    def diagnosis(self) -> Diagnosis:
        """The static gain of the graph, and what is to blame where it is outside the depth budget."""
        return diagnosis(self)

    @property
    def residuals(self) -> list[Residual]:
        """The residual sums of the graph: for each, its origin, its skip and its branch."""
        return residuals(self)

    def in_mode(self, *, training: bool) -> ModelGraph:
        """The graph of the same call after `model.train()` or `model.eval()`; traced when first asked for.

        Raises:
            TraceError: forward raises in that mode.
        """
        if all(module.training is training for module in self.model.modules()):
            return self
        if training not in self._in_mode:
            assert self._again is not None, "the graph was traced"
            twin = self._again(self, training)
            twin.origin, twin.is_part = self.origin, self.is_part
            self._in_mode[training] = twin
        return self._in_mode[training]

    def summary(self) -> Summary:
        """The graph in plain numbers."""
        return Summary(
            operations=sum(node.op.startswith("call") for node in self.nodes),
            weight_layers=sum(is_weight_layer(node) for node in self.nodes),
            parameters=sum(p.numel() for p in self.model.parameters()),
            depth=self.depth,
            plain_depth=self.plain_depth,
            unknown=tuple(f"{node.target} in {node.path or self.class_name}" for node in self.unknown),
            layers=tuple(self._layers()),
            tensors=self.tensors,
        )

    def network(self) -> Network:
        """The graph in plain data."""
        return network(
            self, {"": self.class_name, **{one.path: type(one.module).__name__ for one in self.submodules if one.path}}
        )

    def _layers(self) -> Iterator[Layer]:
        """The operations that a table of layers shows: those with parameters, and those that change a gradient's size."""
        counted: set[int] = set()
        for node in self.nodes:
            if node.kind not in _SHOWN or not node.depends:
                continue
            new = new_parameters(self, node, counted)
            place = (node.built_at if node.module is not None else None) or node.called_at
            yield Layer(node.path, node.target, str(node.kind), node.shape, new, place)

    @property
    def unknown(self) -> list[Node]:
        """The operations that neither the table nor their behaviour explained."""
        return [node for node in self.nodes if node.kind is Kind.UNKNOWN]


def install(root: nn.Module, path: list[str], value: Any) -> None:
    """Make `value` an attribute of `root`, inside as many empty modules as its path names.

    torch.fx does the same for a dict, but registers a buffer anew on the user's own layer that holds it.
    """
    for part in path[:-1]:
        if not isinstance(inner := getattr(root, part, None), nn.Module):
            inner = root._modules[part] = nn.Module()
        root = inner
    if getattr(root, path[-1], None) is value:
        return
    if isinstance(value, nn.Module):
        root._modules[path[-1]] = value
    elif isinstance(value, nn.Parameter):
        root._parameters[path[-1]] = value
    elif isinstance(value, torch.Tensor):
        root._buffers[path[-1]] = value
    else:
        root.__dict__[path[-1]] = value
