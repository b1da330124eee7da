"""Hear the operations of a traced model while it runs for real, for next to nothing.

    Follower(calls)             a TorchFunctionMode: knows what the trace recorded, and recognizes it when it comes again
      +-- call_module                nn.Module.__call__: leaves are heard, the others are entered
      +-- __torch_function__         every other torch call that forward makes
      +-- apply                      torch.autograd.Function

The recorder writes a node for every operation, and keeps every tensor to know it again. A real run needs neither: it
makes the calls of the traced run once more, so the third `F.relu` of `blocks.2` is the third `F.relu` of `blocks.2`. A run
that makes other calls than the traced one is `astray`, and must be recorded to be understood.
"""

from __future__ import annotations

import operator
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.load.held import Census
from netcheck.load.wrappers import unwrapped
from netcheck.torch_versions import TorchFunctionMode, mode_popped, pop_mode, push_mode, uncompiled
from netcheck.trace.calls import (
    METADATA,
    AutogradCall,
    Transformed,
    after,
    as_written,
    called,
    copied,
    gradient_of,
    holds_tensor,
    in_place,
    referenced,
    run_backward,
    set_attribute,
    set_item,
)
from netcheck.trace.leaves import Leaves
from netcheck.trace.patches import patched

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

SETTERS = (torch.Tensor.requires_grad.__set__, torch.Tensor.requires_grad_)  # type: ignore[attr-defined]

Heard = Callable[["Node", tuple[Any, ...], Mapping[str, Any], Any], None]  # (node, args, kwargs, result)
Key = tuple[Any, ...]  # what a call is known by
Calls = dict[Key, list["Node | None"]]  # the nodes that the traced run's calls made, in order

# Nodes that the recorder makes of something else than a call.
UNHEARD = (operator.getitem, getattr, after, set_item, set_attribute, in_place, run_backward, gradient_of, called, copied)


class Follower(TorchFunctionMode):
    """Tells `heard` of each operation of `nodes` when it has run. Used once.

    Attributes:
        astray: whether this run has made a call that the traced run had not made.
    """

    def __init__(
        self,
        calls: Calls,
        census: Census,
        heard: Heard,
        alter: Mapping[Node, Callable[[tuple[Any, ...], Any], Any]] | None = None,
    ) -> None:
        """Make a follower for one run.

        Args:
            calls: those of the traced model, and which of them to hear: from `expected_calls`.
            census: what the model holds, as it runs now.
            heard: called with each of them, its arguments, and its result.
            alter: for some of them, what their result is replaced by, given their arguments and it.
        """
        super().__init__()
        self.astray = False
        self._heard = heard
        self._alter = alter or {}
        self._calls = calls
        self._leaves = Leaves(census)
        self._seen: Counter[Key] = Counter()
        self._names = {key: names for key, (_, names) in census.modules.items()}
        self._scope = ""
        self._paused = False
        self._thread = threading.get_ident()

    @property
    def complete(self) -> bool:
        """Whether all that was expected has been heard, and nothing else."""
        return not self.astray and all(self._seen[key] == len(nodes) for key, nodes in self._calls.items())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything that forward does inside this context is heard."""
        with patched(self), self:
            yield

    def listens(self) -> bool:
        """Whether a call that is made now, on this thread, is forward's."""
        return not self._paused and threading.get_ident() == self._thread

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if sets_flag_of_no_leaf(func, args):
            return args[0]
        if self._paused or name in METADATA or name in ("__get__", "__set__", "__setitem__"):
            return func(*args, **kwargs)
        if name == "__iter__":
            return iter(self.__torch_function__(torch.Tensor.unbind, types, args))
        self._paused = True
        try:
            result = func(*args, **kwargs)
            op, target, args = as_written(func, name, args)
            result = self._recognize((self._scope, op, target), args, kwargs, result)
        finally:
            self._paused = False
        return result

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does."""
        module = unwrapped(module)
        path = self._path(module)
        if not self._leaves.hold(module):
            before, self._scope = self._scope, path
            try:
                return uncompiled(module)(*args, **kwargs)
            finally:
                self._scope = before
        call = module.__call__ if isinstance(module, torch.jit.ScriptModule) else uncompiled(module)
        self._paused = True
        mode = pop_mode()  # by hand: there are hundreds of leaves, and a context manager costs as much as a small one
        try:
            result = call(*args, **kwargs)
            self._leaves.ran(module)
            return self._recognize((path,), args, kwargs, result)
        finally:
            push_mode(mode)
            self._paused = False

    def parameter(self, made: nn.Parameter, data: torch.Tensor) -> None:
        """`nn.Parameter(data)` has made this: nothing that a follower listens for."""

    def exchanged(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """`torch.utils.swap_tensors` has made each of these objects what the other was."""
        self._leaves.forget(one)
        self._leaves.forget(other)

    def from_numpy(self, array: Any, run: Callable[..., torch.Tensor]) -> torch.Tensor:
        """What `torch.from_numpy(array)` does: nothing that a follower listens for."""
        return run(array)

    def shallow_copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """What `copy.copy(tensor)` does."""
        self._paused = True
        try:
            return self._recognize((self._scope, "call_function", referenced), (tensor,), {}, referenced(tensor))  # type: ignore[no-any-return]
        finally:
            self._paused = False

    def backward(self, tensors: Any, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[..., Any]) -> None:
        """What `torch.autograd.backward(tensors, *args, **kwargs)` does."""
        run(tensors, *args, **kwargs)

    def transform(self, name: str, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a function that torch.func made does; `run(*args, **kwargs)` is how PyTorch does it."""
        self._paused = True
        try:
            return self._recognize((self._scope, "call_function", name), args, kwargs, run(*args, **kwargs))
        finally:
            self._paused = False

    def apply(
        self,
        function: type[torch.autograd.Function],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        run: Callable[..., Any],
    ) -> Any:
        """What `function.apply(*args, **kwargs)` does; `run` is how PyTorch does it."""
        if any(callable(arg) and not isinstance(arg, torch.Tensor) for arg in args):
            self.astray = True  # it runs what it is given, now or on the way back
            return run(*args, **kwargs)
        self._paused = True
        try:
            with mode_popped():
                result = run(*args, **kwargs)
                result = self._recognize((self._scope, "call_function", function), args, kwargs, result)
        finally:
            self._paused = False
        return result

    def _path(self, module: nn.Module) -> str:
        """The module's name; of several, the one that continues the enclosing module's."""
        names = self._names.get(id(module))
        if names is None:
            return f"{self._scope}.<{type(module).__name__}>".lstrip(".")
        if len(names) == 1:
            return names[0]
        return next((name for name in names if name.startswith(self._scope + ".")), names[0])

    def _recognize(self, key: Key, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> Any:
        """Tell of a call if it is one of those; gives its result, or what takes its place."""
        nodes = self._calls.get(key)
        if nodes is None or not (isinstance(result, torch.Tensor) or holds_tensor(result)):
            return result
        number = self._seen[key]
        self._seen[key] += 1
        if number >= len(nodes):
            self.astray = True
        elif (node := nodes[number]) is not None:
            if node in self._alter:
                result = self._alter[node](args, result)
            self._heard(node, args, kwargs, result)
        return result


class FlagsOfLeavesOnly(TorchFunctionMode):
    """Lets forward set `requires_grad` of its input where a recorder listens."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if sets_flag_of_no_leaf(func, args):
            return args[0]
        return func(*args, **(kwargs or {}))


def sets_flag_of_no_leaf(func: Any, args: Any) -> bool:
    """Whether a call sets `requires_grad` of a tensor that was computed.

    An input is a leaf for the user, who may set it, and was computed from one here: autograd would refuse. The probe has the
    gradient of its inputs come whatever forward asks for, so nothing is lost by not doing it; and the trace has run the same
    statement on the user's own kind of tensor, where an error would be real.
    """
    return func in SETTERS and not args[0].is_leaf


def expected_calls(graph: ModelGraph, wanted: set[Node]) -> Calls:
    """By what a call is known by: the nodes that its calls made, in order, None for one that nobody wants to hear of."""
    made: Calls = defaultdict(list)
    for node in graph:
        if node.op.startswith("call_") and node.fx.target not in UNHEARD:
            made[key_of(node)].append(node if node in wanted else None)
    return {key: nodes for key, nodes in made.items() if any(nodes)}


def key_of(node: Node) -> Key:
    """What a call is known by: a leaf module by its path, a function by the module that called it and its target."""
    if node.module is not None:
        return (node.path,)
    target = node.fx.target
    if isinstance(target, Transformed):
        target = target.__name__
    return node.path, node.op, target.function if isinstance(target, AutogradCall) else target


def can_be_heard(node: Node) -> bool:
    """Whether a node is a call that forward makes by itself, and that torch announces."""
    return node.op.startswith("call_") and node.fx.target not in UNHEARD
