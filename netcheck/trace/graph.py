"""The traced model: a torch.fx graph whose nodes know their kind, shape, module and place in the source.

    nn.Sequential(nn.Linear(8, 4), nn.Tanh())        on a (2, 8) tensor

    name     op           target      kind         shape    path
    input_1  placeholder  input       input        (2, 8)
    _0       call_module  nn.Linear   linear       (2, 4)   "0"
    _1       call_module  nn.Tanh     activation   (2, 4)   "1"
    output   output       output      output

`Node` wraps one torch.fx node; `ModelGraph` holds them in the order in which forward ran them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from netcheck.errors import TraceError
from netcheck.findings import Layer, Location, Summary
from netcheck.load.randomness import preserved_random_state
from netcheck.source.places import built_at
from netcheck.trace import paths, places, residual
from netcheck.trace.classify import classify
from netcheck.trace.kinds import Kind, is_weight_layer
from netcheck.trace.members import Member, Submodule
from netcheck.trace.node import Node

if TYPE_CHECKING:
    from netcheck.source.locate import Definition
    from netcheck.trace.budget import Diagnosis
    from netcheck.trace.recording import Recording
    from netcheck.trace.residual import Residual

_SHOWN = frozenset((
    Kind.LINEAR, Kind.CONV, Kind.EMBEDDING, Kind.RECURRENT, Kind.ATTENTION, Kind.ACTIVATION, Kind.SOFTMAX, Kind.NORM,
    Kind.DROPOUT, Kind.ADD, Kind.POOL, Kind.UNKNOWN, Kind.SCRIPT,
))  # fmt: skip


class ModelGraph:
    """What one forward pass of a model does.

    Attributes:
        model: the user's model (of a lazy model: an initialized copy).
        nodes: all operations in the order in which forward ran them.
        tensors: "fake" if nothing was computed, "real" if forward needed values.
        lost: nodes that stand for tensors which no recorded operation made.
        origin: the function or variable that the model came from, where its class does not tell how it was built.
        reads: nodes whose values forward looked at: only the recorded path was seen.
        kept: nodes whose values forward left behind in the model: attributes that it set, buffers that it wrote to.
        sized: nodes whose shape, type or device forward looked at.
        example: the arguments (args, kwargs) that forward was run on.
    """

    def __init__(
        self,
        model: nn.Module,
        recording: Recording,
        *,
        tensors: str,
        example: tuple[tuple[Any, ...], dict[str, Any]] = ((), {}),
    ) -> None:
        self.model = model
        self.recording = recording
        self.origin: Definition | None = None
        self.tensors = tensors
        self.example = example
        self._in_mode: dict[bool, ModelGraph] = {}
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
        classify(self)
        reads = dict.fromkeys(self.by_fx[node] for node in recording.reads)
        self.reads = [node for node in reads if node.depends]

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

    @cached_property
    def ways(self) -> list[Node]:
        """The nodes on any way from the input to the main output, in execution order."""
        return paths.find_ways(self)

    @cached_property
    def depth(self) -> int:
        """The most weight layers on any way from input to output."""
        return paths.most(self, is_weight_layer)

    @cached_property
    def plain_depth(self) -> int:
        """The fewest weight layers on any way from input to output: what a gradient cannot avoid.

        Residual connections are ways around. ResNet-50 has 50 weight layers in depth and a plain depth of 6.
        """
        return paths.fewest(self, is_weight_layer)

    @cached_property
    def _built(self) -> dict[str, Location]:
        return built_at(self.model, self.origin)

    def built_at(self, path: str) -> Location | None:
        """The line that built the submodule `path`; None where no source tells."""
        return self._built.get(path) or places.built_outside(self.model, path, self.origin)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The static gain of the graph, and what is to blame where it is outside the depth budget."""
        from netcheck.trace.budget import diagnose

        with preserved_random_state():  # it tries what functions do
            return diagnose(self)

    @cached_property
    def residuals(self) -> list[Residual]:
        """The residual sums of the graph: for each, its origin, its skip and its branch."""
        return residual.find(self)

    def residual_at(self, node: Node) -> Residual | None:
        """The residual sum that a node is; None if it is none."""
        return self._residual_at.get(node)

    @cached_property
    def _residual_at(self) -> dict[Node, Residual]:
        return {found.node: found for found in self.residuals}

    def in_mode(self, *, training: bool) -> ModelGraph:
        """The graph of the same call after `model.train()` or `model.eval()`; traced when first asked for.

        Raises:
            TraceError: forward raises in that mode.
        """
        from netcheck.trace.run import trace

        if all(module.training is training for module in self.model.modules()):
            return self
        if training not in self._in_mode:
            twin = trace(self.model, *self.example, training=training)
            twin.origin = self.origin
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

    def _layers(self) -> Iterator[Layer]:
        """The operations that a table of layers shows: those with parameters, and those that change a gradient's size."""
        counted: set[int] = set()
        for node in self.nodes:
            if node.kind not in _SHOWN or not node.depends:
                continue
            parameters = list(node.module.parameters()) if node.module is not None else self._parameters_of(node)
            new = [p for p in parameters if id(p) not in counted]
            counted.update(id(p) for p in new)
            place = (node.built_at if node.module is not None else None) or node.called_at
            yield Layer(node.path, node.target, str(node.kind), node.shape, sum(p.numel() for p in new), place)

    def _parameters_of(self, node: Node) -> list[torch.Tensor]:
        """The parameters that a function is given directly."""
        return [self.recording.attributes[str(s.fx.target)] for s in node.inputs if s.fx.target in self.recording.names]

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
