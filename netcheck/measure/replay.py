"""Run a traced graph again on fake tensors, one operation at a time, to see what each costs and whose memory it keeps.

    replay(graph, args, kwargs) -> steps, in execution order

A `Storage` stands for a piece of memory: views of one tensor share it, an in-place operation returns the one that it was
given. Operations that are alike (same function or settings, arguments of the same shapes) are run once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from netcheck.load.held import substituted
from netcheck.load.untouched import silent_fakes
from netcheck.measure.operation import EQUALLY_COSTLY, Origin, Profile, fake_tensor, like, profiled
from netcheck.torch_versions import FakeTensor, without_onednn
from netcheck.trace import structure
from netcheck.trace.attempts import argument_names, device_of
from netcheck.trace.calls import after
from netcheck.trace.fakes import Fakes

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

SETTINGS = (int, float, bool, str, tuple, type(None))


@dataclass(eq=False, slots=True)
class Storage:
    """A piece of memory.

    Attributes:
        nbytes: its size.
        state: whether it is a parameter or a buffer of the model.
        learns: whether a gradient of the same size will come back for it.
        given: whether it is an input of the model.
    """

    nbytes: int
    state: bool = False
    learns: bool = False
    given: bool = False


@dataclass(slots=True)
class Step:
    """One operation of the graph as it was run again.

    Attributes:
        node: the operation.
        forward, backward: FLOPs.
        reads: memory of its arguments, and of its module's parameters and buffers.
        makes: new memory that it returned.
        saved: activations that it keeps for backward.
        counted: False where it could not be run on fake tensors: it is taken to cost nothing and to save nothing.
    """

    node: Node
    forward: int = 0
    backward: int = 0
    reads: list[Storage] = field(default_factory=list)
    makes: list[Storage] = field(default_factory=list)
    saved: list[Storage] = field(default_factory=list)
    counted: bool = True


def replay(graph: ModelGraph, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Step]:
    """The operations of `graph` in execution order, each with its cost, on inputs like `args` and `kwargs`.

    Raises:
        NotImplementedError, RuntimeError: a parameter cannot be faked (some quantized and sparse layouts).
    """
    run = _Replay(graph, Fakes())
    with silent_fakes(), without_onednn(), substituted(graph.model, run.own):
        device = device_of(graph.model)
        given = structure.rebuild((tuple(args), dict(kwargs)), lambda tensor: run.fakes.make(tensor, device))
        run.inputs = dict(argument_names(graph.model, *given))
        return [step for node in graph if (step := run.step(node)) is not None]


class _Replay:
    """The state of one replay: the value of each node, and the memory of each tensor."""

    def __init__(self, graph: ModelGraph, fakes: Fakes) -> None:
        self.graph = graph
        self.fakes = fakes
        self.inputs: dict[str, Any] = {}
        self.values: dict[fx.Node, Any] = {}
        self.members: dict[int, torch.Tensor] = {}  # id of the model's own tensor -> the fake in its place
        self.storages: dict[int, Storage] = {}  # id of a tensor -> its memory
        self.kept: list[torch.Tensor] = []  # so that no id is used twice
        self.profiles: dict[Any, Profile] = {}

    def own(self, original: torch.Tensor) -> torch.Tensor:
        """A fake for one of the model's own tensors."""
        twin = self.members[id(original)] = self.fakes.make(original)
        self.remember(twin, Storage(_nbytes(twin), state=True, learns=twin.requires_grad))
        return twin

    def remember(self, tensor: torch.Tensor, storage: Storage) -> None:
        self.kept.append(tensor)
        self.storages[id(tensor)] = storage

    def memory_of(self, tensor: torch.Tensor) -> Storage:
        if id(tensor) not in self.storages:
            self.remember(tensor, Storage(_nbytes(tensor)))
        return self.storages[id(tensor)]

    def step(self, node: Node) -> Step | None:
        """Run one node; None for what is no operation."""
        if node.op == "placeholder":
            value = self.inputs.get(str(node.fx.target))
            for _, tensor in structure.tensors(value):
                self.remember(tensor, Storage(_nbytes(tensor), given=True))
            self.values[node.fx] = value
        elif node.op == "get_attr":
            self.values[node.fx] = self.constant(self.graph.recording.attributes[str(node.fx.target)])
        elif node.op != "output":
            return self.operation(node)
        return None

    def constant(self, value: Any) -> Any:
        """What a get_attr node stands for: a parameter, or anything that the graph holds."""
        if id(value) in self.members:
            return self.members[id(value)]
        return structure.rebuild(value, self.fakes.make)

    def operation(self, node: Node) -> Step:
        args, kwargs = evaluated((node.fx.args, node.fx.kwargs), self.values)
        call = callee(node)
        own = list(_members(node.module)) if node.module is not None else []
        tensors = list({id(t): t for _, t in structure.tensors((args, kwargs))}.values())
        read = [self.memory_of(tensor) for tensor in tensors]
        if node.fx.target in (operator.getitem, getattr) and not isinstance(args[0], torch.Tensor):
            self.values[node.fx] = call(*args)  # a part of a result, which need not have been taken where it was made
            return Step(node)
        step = Step(node, reads=list(dict.fromkeys([*read, *map(self.memory_of, own)])))
        try:
            key = (signature(node, own), described((args, kwargs), {}), node.grad_enabled)
            profile = self.profiles.get(key)
            if profile is None:
                profile = profiled(self.fakes, call, args, kwargs, own, grad_enabled=node.grad_enabled)
                self.profiles[key] = profile
        except Exception:  # values are needed, or there is no kernel without them: what is known is the result's shape
            step.counted = False
            self.values[node.fx] = self.recorded(node, step, tensors)
            return step
        step.forward, step.backward = profile.forward, profile.backward
        made: dict[int, Storage] = {}
        self.values[node.fx] = self.result(profile, read, made)
        if node.fx.target is after:  # a view, read after another view of its memory was written to
            self.values[node.fx] = self.written(args[0], args[1])
        kept = [self.memory_at(origin, read, made) for origin in profile.saved]
        step.saved = list(dict.fromkeys(storage for storage in kept if not storage.state))
        step.makes = list(made.values())
        return step

    def result(self, profile: Profile, read: list[Storage], made: dict[int, Storage]) -> Any:
        """What an operation with this profile returns, given arguments in the memory `read`."""

        def fresh(placeholder: torch.Tensor) -> torch.Tensor:
            tensor = like(self.fakes, placeholder, requires_grad=placeholder.requires_grad)
            storage = self.memory_at(profile.origins[id(placeholder)], read, made)
            storage.learns = storage.learns or (tensor.requires_grad and not storage.given)
            self.remember(tensor, storage)
            return tensor

        return structure.rebuild(profile.result, fresh)

    def memory_at(self, origin: Origin, read: list[Storage], made: dict[int, Storage]) -> Storage:
        """The memory that an origin means in this call."""
        if origin.argument is not None:
            return read[origin.argument]
        return made.setdefault(origin.new, Storage(origin.nbytes))

    def written(self, tensor: Any, mutation: Any) -> Any:
        """`tensor`, which learns if what was written to its memory does."""
        learns = any(t.requires_grad for _, t in structure.tensors((tensor, mutation)))
        twin = like(self.fakes, tensor, requires_grad=learns and tensor.dtype.is_floating_point)
        self.remember(twin, self.memory_of(tensor))
        return twin

    def recorded(self, node: Node, step: Step, arguments: Sequence[torch.Tensor]) -> Any:
        """A result of the shapes that were recorded, for an operation that could not be run again."""
        found = node.call.result if node.call else None
        learns = node.grad_enabled and any(tensor.requires_grad for tensor in arguments)
        device = next((t.fake_device for t in arguments if isinstance(t, FakeTensor)), torch.device("cpu"))

        def tensor_of(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
            stride = torch.empty(shape, device="meta").stride()
            grad = learns and dtype.is_floating_point
            tensor = fake_tensor(self.fakes, shape, stride, dtype, device, requires_grad=grad)
            storage = Storage(_nbytes(tensor), learns=grad)
            self.remember(tensor, storage)
            step.makes.append(storage)
            return tensor

        if isinstance(found, tuple):
            return tensor_of(*found)
        return tuple(tensor_of(*each) for each in found or ())


def evaluated(argument: Any, values: Mapping[fx.Node, Any]) -> Any:
    """A node's arguments with values in the place of nodes, in plain containers: torch.fx's own cannot be written to."""
    if isinstance(argument, fx.Node):
        return values[argument]
    if isinstance(argument, list | tuple):
        items = [evaluated(item, values) for item in argument]
        return items if isinstance(argument, list) else tuple(items)
    if isinstance(argument, dict):
        return {key: evaluated(item, values) for key, item in argument.items()}
    if isinstance(argument, slice):
        return slice(*(evaluated(end, values) for end in (argument.start, argument.stop, argument.step)))
    return argument


def callee(node: Node) -> Callable[..., Any]:
    """What a node calls, to be given its arguments."""
    if node.op == "call_module":
        return node.module  # type: ignore[return-value]
    if node.op == "call_method":
        return getattr(torch.Tensor, str(node.fx.target))  # type: ignore[no-any-return]
    assert callable(node.fx.target)
    return EQUALLY_COSTLY.get(node.fx.target, node.fx.target)


def signature(node: Node, members: Sequence[torch.Tensor]) -> Any:
    """A key that two operations share only if they do the same with the same arguments."""
    module = node.module
    if module is None:
        return node.op, node.fx.target
    if module._modules or module._forward_hooks or module._forward_pre_hooks:
        return id(module)
    settings = tuple((name, value) for name, value in vars(module).items() if isinstance(value, SETTINGS))
    return type(module), settings, described(members, {})


def described(value: Any, seen: dict[int, int]) -> tuple[Any, ...]:
    """A hashable account of an argument in which tensors are their shapes; `seen` tells which are one and the same.

    It has an entry for each tensor, container and plain value, each container before its parts; one that comes again is
    not entered again.
    """
    account: list[Any] = []
    entered: dict[int, int] = {}
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, torch.Tensor):
            number = seen.setdefault(id(one), len(seen))
            device = one.fake_device if isinstance(one, FakeTensor) else one.device
            account.append((number, one.shape, one.stride(), one.dtype, device, one.requires_grad))
        elif id(one) in entered:
            account.append(entered[id(one)])
        elif (parts := list(structure.children(one))) or isinstance(one, list | dict):
            entered[id(one)] = len(entered)
            account.append((type(one), tuple(step for step, _ in parts)))
            pending += (item for _, item in reversed(parts))
        else:
            account.append((type(one), one if is_hashable(one) else id(one)))
    return tuple(account)


def is_hashable(value: Any) -> bool:
    """Whether a value may be part of a key."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _members(module: nn.Module) -> Iterator[torch.Tensor]:
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None:
                yield tensor


def _nbytes(tensor: torch.Tensor) -> int:
    """Bytes of the whole memory that a tensor lies in."""
    try:
        return int(tensor.untyped_storage().nbytes())
    except (NotImplementedError, RuntimeError):  # sparse and opaque tensors have no storage
        return tensor.numel() * tensor.element_size()
