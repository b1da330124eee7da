"""Write what forward does into a recording, as nodes of its graph.

    Scribe(census, fakes)
      +-- placeholder, output    forward's arguments and result
      +-- add                    a call: its node, with the nodes of its arguments, and what it gave bound to it
            +-- write                values -> nodes (get_attr, getitem, assemble made where needed)
            |     +-- resolve            tensor -> the node whose value it is now
            +-- bind                 tensors of the result -> the node that made them
      +-- inside                 what happens in this context, a module's forward does

A tensor is known by identity: `bindings` maps its id to the node that made it. An in-place operation binds the tensor to
the new node; other views of the same memory find out at their next use (`resolve` inserts an `after` node), so that the
graph's edges tell the truth about data flow.

    y = x.relu_()     y is x, and both have the value of the new node. Forward is handed another reference to it, so that
    return y + x      a later use tells which was meant: x was named before its value changed (`Call.outdated`).
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from keyword import iskeyword
from types import CodeType, FrameType
from typing import Any

import torch
from torch import fx, nn

from netcheck.load.contents import values_in
from netcheck.load.held import Census, join
from netcheck.trace import structure
from netcheck.trace.calls import LITERALS, after, describe, memory, reference
from netcheck.trace.fakes import Fakes
from netcheck.trace.frames import is_users
from netcheck.trace.modes import Switches
from netcheck.trace.recording import Call, Recording

Listener = Callable[[Call, Any], Any]

_PLAIN = frozenset((str, bytes, int, float, bool, type(None), type, set, torch.dtype, torch.device, torch.Size))
_DEEPEST = 60  # dots in a name; Python compiles no expression that nests much deeper
_TAKEN = frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))  # names that mean something to torch.fx itself


@dataclass(slots=True)
class _Binding:
    tensor: torch.Tensor  # keeps the tensor alive, so that its id is not reused
    node: fx.Node
    path: structure.Path  # from the node's value to this tensor
    clock: int  # how many mutations there had been
    family: int = 0  # shared by the references that were handed out for one tensor; 0: it is the only one
    outdated: bool = False  # whether its value has changed since the reference was made


class Scribe:
    """Writes one recording. While it is `paused`, what torch is asked to do is not forward's doing."""

    def __init__(self, census: Census, fakes: Fakes | None = None, listener: Listener | None = None) -> None:
        """Begin a recording; the arguments are those of `netcheck.trace.record.Recorder`."""
        self.recording = Recording(census)
        self.paused = False
        self.entry: FrameType | None = None  # nothing above this frame is the model's
        self._census = census
        self._fakes = fakes
        self._listener = listener
        self._bindings: dict[int, _Binding] = {}
        self._scopes: list[tuple[str, nn.Module | None]] = [("", None)]
        self._mutations: dict[int, tuple[int, fx.Node]] = {}  # memory -> (clock, the node that wrote to it)
        self._changed: dict[int, tuple[int, fx.Node]] = {}  # family -> (clock, the node that last changed it as a whole)
        self._references: dict[int, list[torch.Tensor]] = {}  # by family: the tensor, and the references to it
        self._outdated: list[fx.Node] = []  # what the call that is being written reads by an outdated reference
        self.clock = 0  # how many mutations there have been
        self._own: set[int] | None = None  # the memory of the model's tensors, once somebody writes
        self._constants = 0
        self._switches = Switches()
        self._writing: set[int] = set()  # objects whose parts are being written
        self._knots: dict[int, fx.Node] = {}  # containers inside the value that is being written which are nodes of their own

    # ---- nodes --------------------------------------------------------------------------------------------------

    def placeholder(self, name: str, value: Any) -> fx.Node:
        """One argument of forward; the tensors inside it become known."""
        node = self.recording.graph.placeholder(f"{name}_" if iskeyword(name) else name)
        self._note(node, None, value)
        self._bind(node, value)
        return node

    def output(self, value: Any) -> None:
        """Forward's result."""
        self.paused = True  # what is left to do is no call of the model's
        kept = {self.resolve(tensor) for tensor in left_behind(self._census) if self.knows(tensor)}
        self.recording.kept = sorted(kept)
        self.note_switches()
        node = self.recording.graph.output(self.write(value))
        self._note(node, None, value)

    def add(
        self, op: str, target: Any, args: Any, kwargs: Any, result: Any, *,
        leaf: nn.Module | None = None, mutated: Any = None,
    ) -> Any:  # fmt: skip
        """Append the node of a call and bind what it returned.

        Args:
            op: as torch.fx has it: call_function, call_method or call_module.
            target: the function, the method's name, the module's name.
            args: what it was given.
            kwargs: what it was given by name.
            result: what it returned.
            leaf: the module called.
            mutated: the tensors that it wrote to.

        Returns:
            The result; or another reference to it, or what the listener puts in its place.
        """
        self._outdated.clear()
        written = self.write(tuple(args)), self.write(dict(kwargs))
        self.note_switches()
        node = self.recording.graph.create_node(op, target, *written)
        call = self._note(node, leaf, result)
        call.outdated = tuple(self._outdated)
        result = self._heard(call, result)
        given = {id(arg) for arg in (*args, *kwargs.values())} if mutated is None else ()
        if result is not mutated:
            self._bind(node, result, besides=given)
        if mutated is not None:
            self._mutate(mutated, node)
            if result is mutated and args and result is args[0] and isinstance(result, torch.Tensor):
                return self._renewed(result, self._bindings[id(result)])
        return result

    @property
    def last(self) -> fx.Node:
        """The node that was appended last."""
        node: fx.Node = next(iter(reversed(self.recording.graph.nodes)))
        return node

    def part(self, node: fx.Node, index: int) -> fx.Node:
        """A node for one item of a result, where that is no tensor."""
        item = self.recording.graph.call_function(operator.getitem, (node, index))
        self._note(item, None, None)
        return item

    def _heard(self, call: Call, result: Any) -> Any:
        """The result, or what the listener puts in its place; what the listener does is not recorded."""
        if self._listener is None:
            return result
        with self.pausing():
            return self._listener(call, result)

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """What torch is asked to do in this context is not forward's doing."""
        before, self.paused = self.paused, True
        try:
            yield
        finally:
            self.paused = before

    def note_switches(self) -> None:
        """Append a node if gradients or precision were switched since the last one."""
        node = self._switches.note(self.recording.graph)
        if node is not None:
            self._note(node, None, None)

    def _note(self, node: fx.Node, leaf: nn.Module | None, value: Any) -> Call:
        path, owner = self._scopes[-1]
        code, instruction = self.caller()
        if leaf is not None:
            path = self.path(leaf)
        training = leaf.training if leaf is not None else bool(owner is None or owner.training)
        call = Call(node, path, leaf, owner, code, instruction, describe(value), torch.is_grad_enabled(), training)
        self.recording.calls[node] = call
        return call

    # ---- where forward is ---------------------------------------------------------------------------------------

    @property
    def scope(self) -> str:
        """The path of the module whose forward runs."""
        return self._scopes[-1][0]

    @contextmanager
    def inside(self, path: str, module: nn.Module) -> Iterator[None]:
        """What happens in this context, the forward of `module` does."""
        self._scopes.append((path, module))
        try:
            yield
        finally:
            self._scopes.pop()

    def path(self, module: nn.Module) -> str:
        """The module's name; of several, the one that continues the enclosing module's."""
        known = self._census.modules.get(id(module))
        if known is None:  # made inside forward: it has no name in the model
            name = join(self.scope, f"<{type(module).__name__}>")
            self._census.modules[id(module)] = (module, [name])
            return name
        names = known[1]
        return next((name for name in names if len(names) > 1 and name.startswith(self.scope + ".")), names[0])

    def caller(self) -> tuple[CodeType | None, int]:
        """The innermost frame of user code, as (code, instruction); positions are looked up when somebody asks."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame is not self.entry:
            if is_users(frame.f_code):
                return frame.f_code, frame.f_lasti
            frame = frame.f_back
        return None, 0

    # ---- values to nodes ----------------------------------------------------------------------------------------

    def write(self, value: Any) -> Any:
        """`value` as an argument of a node: tensors become the nodes that made them, the rest stays or is lifted."""
        if isinstance(value, torch.Tensor) or type(value) in LITERALS:
            return self._written(value)
        try:
            for part in structure.knots(value):
                self._knots[id(part)] = self._write_knot(part)
            return self._written(value)
        finally:
            self._knots.clear()

    def _written(self, value: Any) -> Any:
        """`write` of a value whose knots are written."""
        if isinstance(value, torch.Tensor):
            return self.resolve(value)
        if isinstance(value, fx.Node):
            return value
        if type(value) in LITERALS or value is Ellipsis:
            return value
        if isinstance(value, torch.Size):
            return tuple(value)
        if id(value) in self._knots:
            return self._knots[id(value)]
        if type(value) in (list, tuple):
            return type(value)(self._written(item) for item in value)
        if type(value) is dict and all(type(key) in LITERALS for key in value):
            return {key: self._written(item) for key, item in value.items()}
        if isinstance(value, slice):
            return slice(self._written(value.start), self._written(value.stop), self._written(value.step))
        return self._write_object(value)

    def _write_knot(self, value: Any) -> fx.Node:
        """A container that a literal could not hold: too deep in others, or in several of them."""
        written = self._written(value)
        if isinstance(written, fx.Node):
            return written
        node = self.recording.graph.call_function(structure.container, (written,))
        parts = [self.recording.calls[part].result for part in node.all_input_nodes]
        self._note(node, None, None).result = [part[0] if isinstance(part, list) else part for part in parts if part]
        return node

    def _write_object(self, value: Any) -> fx.Node:
        """An object of the user's: rebuilt from its parts if it holds tensors, otherwise lifted as it is."""
        whole = {
            structure.part_name(step, position): item
            for position, (step, item) in enumerate(structure.children(value))
            if any(True for _ in structure.tensors(item))
        }
        if not whole:
            return self._lift(value)
        template = self._lift(structure.assemble(value, dict.fromkeys(whole)))
        if id(value) in self._writing:  # it holds itself
            return template
        self._writing.add(id(value))
        parts: dict[Any, Any] = {name: self._written(item) for name, item in whole.items()}
        self._writing.discard(id(value))
        node = self.recording.graph.call_function(structure.assemble, (template, parts))
        return self._note(node, None, value).node

    def hold(self, tensor: torch.Tensor, real: torch.Tensor) -> None:
        """Take a tensor that no torch call made for a constant: the one that has its values."""
        self._bind(self._lift(real), tensor)

    def _lift(self, value: Any) -> fx.Node:
        """Keep `value` as a constant of the graph."""
        self._constants += 1
        target = self.keep(f"_constant_{self._constants - 1}", value)
        return self._note(self.recording.graph.get_attr(target), None, value).node

    def keep(self, name: str, value: Any) -> str:
        """Make `value` an attribute of the graph's module; returns its name there, which is `name` wherever it can be."""
        first, _, rest = name.partition(".")
        if name.count(".") > _DEEPEST or any(map(iskeyword, name.split("."))):  # `self.lambda` cannot be written
            name = f"_named_{id(value)}"
        elif first in _TAKEN:
            name = join(first + "_", rest)
        self.recording.attributes[name] = value
        return name

    # ---- tensors to nodes ---------------------------------------------------------------------------------------

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether a node made the tensor."""
        return id(tensor) in self._bindings

    def maker(self, value: Any) -> fx.Node | None:
        """The node that made a tensor, as far as is known without looking closer."""
        binding = self._bindings.get(id(value))
        return None if binding is None else binding.node

    def resolve(self, tensor: torch.Tensor) -> fx.Node:
        """The node whose value `tensor` is, as it is now."""
        binding = self._bindings.get(id(tensor))
        if binding is None:
            binding = self._bind_unknown(tensor)
        if binding.path:
            node = binding.node
            for how, key in binding.path:
                function = operator.getitem if how == "item" else getattr
                node = self.recording.graph.call_function(function, (node, key))
            self._heard(self._note(node, None, tensor), tensor)
            binding.node, binding.path = node, ()
        if self._mutations:
            self._catch_up(tensor, binding)
        return binding.node

    def exchange(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Two tensor objects have become what the other was."""
        nodes = self.resolve(one), self.resolve(other)
        self._bindings[id(one)] = _Binding(one, nodes[1], (), self.clock)
        self._bindings[id(other)] = _Binding(other, nodes[0], (), self.clock)

    def _catch_up(self, tensor: torch.Tensor, binding: _Binding) -> None:
        """Let a binding know what was written to its tensor since it was last asked."""
        clock, mutation = self._changed.get(binding.family, (0, binding.node))
        if clock > binding.clock:  # by another reference to the same tensor
            binding.node, binding.clock, binding.outdated = mutation, clock, True
        clock, mutation = self._mutations.get(memory(tensor), (0, binding.node))
        if clock > binding.clock:
            node = self.recording.graph.call_function(after, (binding.node, mutation))
            self._heard(self._note(node, None, tensor), tensor)
            binding.node, binding.clock = node, clock
        if binding.outdated:
            self._outdated.append(binding.node)

    def _bind(self, node: fx.Node, value: Any, besides: Any = ()) -> None:
        """Every tensor in `value` was made by `node`; but one that was handed through unchanged keeps its maker."""
        if isinstance(value, torch.Tensor):
            if id(value) not in besides:
                self._bindings[id(value)] = _Binding(value, node, (), self.clock)
            return
        for path, tensor in structure.tensors(value):
            if id(tensor) not in besides:
                self._bindings[id(tensor)] = _Binding(tensor, node, path, self.clock)

    def _bind_unknown(self, tensor: torch.Tensor) -> _Binding:
        """A tensor that no recorded operation made: the model's own, a constant, or one that got past the recorder."""
        known = self._census.tensors.get(id(tensor))
        if known is not None:
            original, names = known
            target = self.keep(names[0], original)
            self.recording.names[target] = tuple(names)
            node = self.recording.graph.get_attr(target)
            self._note(node, None, tensor)
        else:
            node = self._lift(tensor)
            self.recording.lost.append(node)
        binding = _Binding(tensor, node, (), self.clock)
        self._bindings[id(tensor)] = binding
        return binding

    # ---- in-place operations ------------------------------------------------------------------------------------

    def _mutate(self, mutated: Any, node: fx.Node) -> None:
        """`node` has written to these tensors (out= may be a tuple); other references to them hear of it."""
        self.clock += 1
        for way, tensor in structure.tensors(mutated):
            self._mutations[memory(tensor)] = (self.clock, node)
            if memory(tensor) in self._own_memory():
                self.recording.written.append(node)
            known = self._bindings.get(id(tensor))
            family = known.family if known is not None else 0
            if family:
                self._changed[family] = (self.clock, node)
            self._bindings[id(tensor)] = _Binding(tensor, node, way, self.clock, family)

    def _renewed(self, tensor: torch.Tensor, binding: _Binding) -> torch.Tensor:
        """Another reference to a tensor that was changed in place; the tensor itself where there can be none."""
        if id(tensor) in self._census.tensors or binding.path:
            return tensor
        with self.pausing():
            twin = self._fakes.reference(tensor) if self._fakes is not None else reference(tensor)
        if twin is not tensor:
            binding.outdated = True
            binding.family = binding.family or id(tensor)
            self._changed[binding.family] = (binding.clock, binding.node)
            self._bindings[id(twin)] = _Binding(twin, binding.node, (), binding.clock, binding.family)
            self._references.setdefault(binding.family, [tensor]).append(twin)
        return twin

    def references(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """The other references to a tensor that were handed out."""
        binding = self._bindings.get(id(tensor))
        return [other for other in self._references.get(binding.family, ()) if other is not tensor] if binding else []

    def returned(self, result: Any, before: int) -> Any:
        """A module's result: a tensor that the module changed in place is meant as it is now (`act_(x); return x`).

        `before` is what the clock said when the module began.
        """
        binding = self._bindings.get(id(result)) if self.clock > before else None
        if binding is None or not binding.outdated or binding.clock <= before:
            return result
        return self._renewed(result, binding)

    def is_own(self, tensor: Any) -> bool:
        """Whether a tensor lies in the memory of one of the model's."""
        return isinstance(tensor, torch.Tensor) and memory(tensor) in self._own_memory()

    def _own_memory(self) -> set[int]:
        """The memory of the model's own tensors."""
        if self._own is None:
            mine = self._census.converted or [tensor for tensor, _ in self._census.tensors.values()]
            self._own = {memory(tensor) for tensor in mine}
        return self._own


def left_behind(census: Census) -> Iterator[torch.Tensor]:
    """The tensors that forward has put into attributes, lists and dicts, the model's or around it, and that are new there."""
    known = census.surroundings.seen.union(map(id, census.empties))
    held = (value for holder in (*census.holders, *filter(None, census.empties)) for value in values_in(holder))
    new = [value for value in held if type(value) not in _PLAIN and id(value) not in known]
    new += census.surroundings.additions()
    yield from (tensor for _, tensor in structure.tensors(new) if id(tensor) not in census.tensors)
