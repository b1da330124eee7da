"""Hear every operation that forward does, and have each written down as a torch.fx node.

    Recorder                     a TorchFunctionMode: sees every torch call that forward makes
      +-- call_module                nn.Module.__call__: leaves become one node, the others are entered
      +-- __torch_function__         everything else becomes one call_function or call_method node
      +-- backward                   a node whose gradients later nodes read
      +-- transform                  a function that torch.func made: one node, with an edge from all that it reads
      +-- apply                      torch.autograd.Function: a leaf, unless it runs modules or callables
      +-- dispatched                 what reaches the dispatcher unannounced, if an `Unannounced` listens
      each: _run                     computes, on fake tensors quickly (see `netcheck.trace.fakes`)
            Scribe.add               writes the node (see `netcheck.trace.scribe`)

Tensors are fake unless their values matter (see `netcheck.trace.run`).
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FunctionType, GeneratorType
from typing import Any

import torch
from torch import fx, nn

from netcheck.load.held import Census
from netcheck.load.wrappers import unwrapped
from netcheck.torch_versions import (
    DataDependentOutputException,
    DispatchMode,
    TorchFunctionMode,
    gradients_kept_on,
    mode_popped,
    uncompiled,
    unset_fake_temporarily,
)
from netcheck.trace import structure
from netcheck.trace.calls import (
    EXPOSING,
    METADATA,
    READS,
    RESHAPES,
    VALUE_NEEDED,
    AutogradCall,
    LayerCall,
    Transformed,
    as_written,
    brief,
    called,
    copied,
    gradient_of,
    holds_tensor,
    in_place,
    is_in_place,
    referenced,
    run_backward,
    set_attribute,
    set_item,
    writes,
)
from netcheck.trace.fakes import Fakes
from netcheck.trace.leaves import Leaves
from netcheck.trace.patches import patched
from netcheck.trace.recording import Failure
from netcheck.trace.scribe import Listener, Scribe
from netcheck.trace.values import Values


class Recorder(TorchFunctionMode):
    """Records what happens inside `running()` on this thread. Used once.

    Attributes:
        recording: what was recorded.
        failure: the operation that raised, if one did.
        needs_values: whether a fake tensor was asked for a value, which it does not have.
    """

    def __init__(
        self,
        census: Census,
        *,
        fakes: Fakes | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Make a recorder for one run.

        Args:
            census: what the model holds, keyed by the tensors that forward will meet.
            fakes: what made the run's tensors, if they are fake.
            listener: called with each node's facts and its result; what it returns takes the result's place (not of parts
                of a result, which it hears of too).
        """
        super().__init__()
        self._scribe = Scribe(census, fakes, listener)
        self.recording = self._scribe.recording
        self.failure: Failure | None = None
        self.needs_values = False
        self._fakes = fakes
        self._values = Values(self.recording, fakes) if fakes is not None else None
        self._census = census
        self._leaves = Leaves(census)
        self._touched: dict[int, torch.Tensor] | None = None  # inside a transform: what it has read
        self._changed: set[int] = set()  # the layers that forward had changed before that
        self._backward: list[fx.Node] = []
        self._thread = threading.get_ident()

    # ---- forward's arguments and result -------------------------------------------------------------------------

    def placeholder(self, name: str, value: Any, example: Any = None) -> None:
        """Declare one argument of forward; the tensors inside it become known. `example` is its real value, if any."""
        node = self._scribe.placeholder(name, value)
        if self._values is not None:
            self._values.given[node] = example

    def output(self, value: Any) -> None:
        """Declare forward's result."""
        self._scribe.output(value)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything that forward does inside this context is recorded."""
        self._scribe.entry = sys._getframe(2)  # the caller of `with recorder.running()`: nothing above it is the model's
        numbers = random.getstate()
        with patched(self):
            self._scribe.note_switches()
            with self:
                yield
        if random.getstate() != numbers:
            self.recording.frozen.append("forward draws from Python's random numbers, and the graph holds those that it drew")

    def listens(self) -> bool:
        """Whether a call that is made now, on this thread, is forward's."""
        return not self._scribe.paused and threading.get_ident() == self._thread

    # ---- what forward calls -------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self._scribe.paused:
            return func(*args, **kwargs)
        if self._touched is not None:
            self._touch(args, kwargs)
            return func(*args, **kwargs)
        if name in EXPOSING and self._scribe.is_own(args[0]):
            self.recording.exposed = True
        if name in METADATA:
            self._glance(args)
            return func(*args, **kwargs)
        if name == "__iter__":  # `for row in tensor`: the iterator itself is no tensor, the rows are
            return iter(self.__torch_function__(torch.Tensor.unbind, types, args))
        if name == "__get__":
            return self._property(func, args[0])
        if name == "__set__":
            return self._assignment(func, *args)
        if name == "__deepcopy__":
            return self._copy(*args)
        if func is torch.autograd.grad:
            self._require_history("autograd.grad", args, kwargs)
        result = self._run(name, func, args, kwargs)
        if name in RESHAPES and args:
            self._follow_suit(func, *args, **kwargs)
        if name in READS:
            self._read(args)
        elif name == "__setitem__":
            self._scribe.add("call_function", set_item, args, {}, args[0], mutated=args[0])
        elif holds_tensor(result):
            op, target, args = as_written(func, name, args)
            mutated = kwargs.get("out")
            if mutated is None and args and result is args[0] and writes(name, args, kwargs):
                mutated = result
            return self._scribe.add(op, target, args, kwargs, result, mutated=mutated)
        elif result is None and is_in_place(name) and args and holds_tensor(args[0]):
            self._scribe.add("call_function", in_place, (func, *args), kwargs, args[0], mutated=args[0])
        return result

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does while recording: record a leaf, enter anything else."""
        module = unwrapped(module)
        self.recording.entered.add(id(module))
        if self._touched is not None:
            return self._inside_transform(module, args, kwargs)
        path = self._scribe.path(module)
        if not self._leaves.hold(module):
            if self._leaves.hold_but_for_hooks(module):
                return self._hooked(module, args, kwargs)
            before = self._scribe.clock
            with self._scribe.inside(path, module):
                result = uncompiled(module)(*args, **kwargs)
            if isinstance(result, GeneratorType):
                return self._steps_inside(path, module, result)
            return self._scribe.returned(result, before)
        call = module.__call__ if isinstance(module, torch.jit.ScriptModule) else uncompiled(module)
        return self._layer(module, call, args, kwargs)

    def _layer(self, module: nn.Module, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a layer does, as one node."""
        with mode_popped():
            result = self._run(type(module).__name__, call, args, kwargs, leaf=module)
        if self._leaves.were_made(module):
            weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
            with self._scribe.pausing():
                target = LayerCall(module)
            return self._scribe.add("call_function", target, args, {**kwargs, "weights": weights}, result, leaf=module)
        self._leaves.ran(module)
        path = self._scribe.path(module)
        name = self._scribe.keep(path or type(module).__name__, module)  # the root itself may be a leaf
        changed = bool(args) and result is args[0] and bool(getattr(module, "inplace", False))
        mutated = result if changed else None
        return self._scribe.add("call_module", name, args, kwargs, result, leaf=module, mutated=mutated)

    def _hooked(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer that forward has hung hooks on: it is one node, and what they do is heard beside it."""
        run = module.forward
        module.__dict__["forward"] = lambda *given, **named: self._layer(module, run, given, named)
        try:
            with self._scribe.inside(self._scribe.path(module), module):
                return uncompiled(module)(*args, **kwargs)
        finally:
            del module.__dict__["forward"]

    def _steps_inside(self, path: str, module: nn.Module, steps: Iterator[Any]) -> Generator[Any, None, Any]:
        """What a forward with `yield` gives; it runs while somebody else's forward asks for it."""
        while True:
            with self._scribe.inside(path, module):
                try:
                    step = next(steps)
                except StopIteration as end:
                    return end.value
            yield step

    def apply(
        self,
        function: type[torch.autograd.Function],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        run: Callable[..., Any],
    ) -> Any:
        """What `function.apply(...)` does while recording; `run` is how PyTorch does it."""
        if self._touched is not None:
            self._touch(args, kwargs)
            return run(*args, **kwargs)
        if function.__name__ == "CheckpointFunction" and function.__module__ == "torch.utils.checkpoint":
            inner, _preserve_rng_state, *inputs = args
            return inner(*inputs)
        if function.__name__ == "_NoopSaveInputs" and function.__module__ == "torch.utils.checkpoint":  # until torch 2.11
            with mode_popped():
                return self._run(function.__name__, run, args, kwargs)
        if any(callable(arg) and not isinstance(arg, torch.Tensor) for arg in args):  # it runs what it is given
            context = (
                []
                if function.setup_context is not torch.autograd.Function.setup_context
                else [torch.autograd.function.FunctionCtx()]
            )
            # It runs without gradients and makes up for that in backward, or is made so by PyTorch.
            with gradients_kept_on(function.forward):
                return function.forward(*context, *args, **kwargs)
        with mode_popped():
            result = self._run(function.__name__, run, args, kwargs)
        return self._scribe.add("call_function", AutogradCall(function), args, kwargs, result)

    def dispatched(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An ATen operation that no torch function announced (a TorchScript function, an extension)."""
        result = func(*args, **kwargs)
        if self._scribe.paused or self._touched is not None or not holds_tensor(result):
            return result
        mutated = result if args and result is args[0] else None
        return self._scribe.add("call_function", func, args, kwargs, result, mutated=mutated)

    def parameter(self, made: nn.Parameter, data: torch.Tensor) -> None:
        """`nn.Parameter(data)` was called: written as `data.detach().requires_grad_()`, as it tells of itself on fake tensors."""
        if self._touched is None and not self._scribe.knows(made):
            self._scribe.add("call_method", "detach", (data,), {}, made)
            self._scribe.add("call_method", "requires_grad_", (made, made.requires_grad), {}, made)

    def exchanged(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """`torch.utils.swap_tensors(one, other)` was called: the objects are the same, and what they are has changed places."""
        if self._touched is None:
            self._scribe.exchange(one, other)
            self._leaves.forget(one)
            self._leaves.forget(other)

    def from_numpy(self, array: Any, run: Callable[..., torch.Tensor]) -> torch.Tensor:
        """`torch.from_numpy(array)`: a constant of the graph, as are the numbers in `torch.tensor([1.0])`."""
        if self._touched is not None or isinstance(array, torch.Tensor):  # one in the place of an array is handed through
            return run(array)
        with self._scribe.pausing():
            tensor = run(array)  # a fake one, where forward runs on fake tensors
            with unset_fake_temporarily():
                real = run(array)
        self._scribe.hold(tensor, real)
        return tensor

    def backward(self, tensors: Any, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[..., Any]) -> None:
        """What `torch.autograd.backward(tensors, ...)` does while recording; `run` is PyTorch's own."""
        if self._touched is not None:
            run(tensors, *args, **kwargs)
            return
        self._require_history("backward", (tensors, *args), kwargs)
        self._run("backward", run, (tensors, *args), kwargs)
        self._scribe.add("call_function", run_backward, (tensors, *args), kwargs, None)
        self._backward.append(self._scribe.last)
        self.recording.written.append(self._scribe.last)

    # ---- what torch.func makes ----------------------------------------------------------------------------------

    def transform(self, name: str, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a function that torch.func made does while recording: one node, whatever the function in it does."""
        if self._touched is not None:
            return run(*args, **kwargs)
        result, beside = self._transformed(name, run, args, kwargs)
        if any(id(tensor) not in self._census.tensors for tensor in beside):
            self.recording.frozen.append(f"the function that torch.func.{name} is given reads tensors that forward has computed")
        self._scribe.add("call_function", Transformed(name, run), (args, kwargs, beside), {}, result)
        node = self._scribe.last
        self.recording.transforms.append(node)
        if type(result) is not tuple:
            return result
        return tuple(self._later(item, node, i) if isinstance(item, FunctionType) else item for i, item in enumerate(result))

    def _transformed(self, name: str, run: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, tuple[torch.Tensor, ...]]:
        """The result, and the tensors that were read for it besides the arguments."""
        self._touched = {id(tensor): tensor for _, tensor in structure.tensors((args, kwargs))}
        given = len(self._touched)
        self._changed = self._leaves.changed()
        try:
            result = self._run(name, run, args, kwargs, whole=False)
            return result, tuple(self._touched.values())[given:]
        finally:
            self._touched = None

    def _later(self, function: Callable[..., Any], node: fx.Node, index: int) -> Callable[..., Any]:
        """A function that a transform has given (the second result of `vjp`), heard when forward calls it."""

        def heard(*args: Any, **kwargs: Any) -> Any:
            if not self.listens() or self._touched is not None:
                return function(*args, **kwargs)
            result, _ = self._transformed("called", function, args, kwargs)
            return self._scribe.add("call_function", called, (self._scribe.part(node, index), *args), kwargs, result)

        return heard

    def _inside_transform(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if id(module) in self._changed:
            self.recording.frozen.append("a function that torch.func is given runs a layer that forward has changed")
        return uncompiled(module)(*args, **kwargs)

    def _touch(self, args: Any, kwargs: Any) -> None:
        """Note what a transform reads of the tensors that are known."""
        assert self._touched is not None
        for _, tensor in structure.tensors((args, kwargs)):
            if self._scribe.knows(tensor) or id(tensor) in self._census.tensors:
                self._touched.setdefault(id(tensor), tensor)

    # ---- what forward asks of a tensor --------------------------------------------------------------------------

    def _property(self, func: Any, tensor: torch.Tensor) -> Any:
        """`tensor.T`, `.mT`, `.data`, `.real` are tensors; `.shape`, `.device` and the like are not."""
        with self._scribe.pausing():
            result = func(tensor)
        name = getattr(getattr(func, "__self__", None), "__name__", "")
        if name == "grad":
            self._gradient(tensor, result)
        elif isinstance(result, torch.Tensor):
            return self._scribe.add("call_function", getattr, (tensor, name), {}, result)
        else:
            self._glance((tensor,))
        return result

    def _copy(self, tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
        """`copy.deepcopy(tensor)`: torch's own looks for the memory of the tensor, which a fake one has not."""
        if id(tensor) in memo:
            return memo[id(tensor)]  # type: ignore[no-any-return]
        with self._scribe.pausing():
            twin = copied(tensor)
        memo[id(tensor)] = twin
        return self._scribe.add("call_function", copied, (tensor,), {}, twin)  # type: ignore[no-any-return]

    def shallow_copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """`copy.copy(tensor)`: torch's own would give a tensor of another kind for a fake one."""
        with self._scribe.pausing():
            twin = referenced(tensor)
        return self._scribe.add("call_function", referenced, (tensor,), {}, twin)  # type: ignore[no-any-return]

    def _gradient(self, tensor: torch.Tensor, result: Any) -> None:
        """Forward reads `tensor.grad`: what it has put there itself, or what was there before, which this run does not have."""
        if isinstance(result, torch.Tensor):
            if self._backward and not self._scribe.knows(result):
                self._scribe.add("call_function", gradient_of, (tensor, *self._backward), {}, result)
            return
        original, names = self._census.tensors.get(id(tensor), (None, [""]))
        if original is not None and original.grad is not None:
            self.recording.frozen.append(f"forward reads the gradient that {names[0]} had before")

    def _assignment(self, func: Any, tensor: torch.Tensor, value: Any) -> None:
        with self._scribe.pausing():
            func(tensor, value)
        name = getattr(getattr(func, "__self__", None), "__name__", "")
        if name == "data":
            self._follow_suit(func, tensor, value)
        if isinstance(value, torch.Tensor) and name == "data":
            self._scribe.add("call_function", set_attribute, (tensor, name, value), {}, tensor, mutated=tensor)
        elif name == "grad":
            self._scribe.add("call_function", set_attribute, (tensor, name, value), {}, tensor)

    def _follow_suit(self, func: Any, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Do to the other references to a tensor what was done to one of them: to the user they are one object."""
        with self._scribe.pausing():
            for other in self._scribe.references(tensor):
                func(other, *args, **kwargs)

    def _glance(self, args: Any) -> None:
        """Forward looked at what a tensor is (its shape, type or device), not at its values."""
        node = self._scribe.maker(args[0]) if args else None
        if node is not None:
            self.recording.sized.add(node)

    def _read(self, args: Any) -> None:
        """Forward looked at the values of tensors."""
        for _, tensor in structure.tensors(args):
            if self._scribe.knows(tensor):
                self.recording.reads.append(self._scribe.resolve(tensor))

    # ---- computing ----------------------------------------------------------------------------------------------

    def _run(
        self, name: str, call: Callable[..., Any], args: Any, kwargs: Any, leaf: nn.Module | None = None, *, whole: bool = True
    ) -> Any:
        """Call, with recording off; on an exception note what was called, with what, and where.

        `whole` tells whether nothing of what the call itself calls is to be heard.
        """
        before, self._scribe.paused = self._scribe.paused, whole
        try:
            if self._fakes is None or not whole:
                return call(*args, **kwargs)
            if leaf is not None:
                return self._fakes.run_leaf(leaf, call, args, kwargs)
            return self._fakes.run(name, call, args, kwargs)
        except VALUE_NEEDED as error:
            value = self._value_of(call, args, kwargs) if whole else None
            if value is not None:
                return value
            self.needs_values = True
            self.failure = self._failure(error, name, args, kwargs, leaf)
            raise
        except BaseException as error:
            if self.failure is None or self.failure.error is not error:
                self.failure = self._failure(error, name, args, kwargs, leaf)
            raise
        finally:
            self._scribe.paused = before

    def _require_history(self, name: str, args: Any, kwargs: Any) -> None:
        """Make sure that the tensors know what they were computed from, to go back along it.

        Raises:
            DataDependentOutputException: they are fake.
        """
        if self._fakes is None:
            return
        error = DataDependentOutputException(torch.ops.aten.item.default)
        self.needs_values = True
        self.failure = self._failure(error, name, args, kwargs, None)
        raise error

    def _value_of(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What a call gives on real values, if a few cheap operations lead to them; else None."""
        if self._values is None:
            return None
        return self._values.compute(call, self._scribe.write(tuple(args)), self._scribe.write(dict(kwargs)))

    def _failure(self, error: BaseException, name: str, args: Any, kwargs: Any, leaf: nn.Module | None) -> Failure:
        shapes = ", ".join(brief(value) for value in (*args, *kwargs.values()))
        path = self._scribe.path(leaf) if leaf is not None else self._scribe.scope
        return Failure(error, name, shapes, path, *self._scribe.caller())


class Unannounced(DispatchMode):
    """Hears the ATen operations that reach the dispatcher without passing a torch function. Slower; used when needed."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.recorder.dispatched(func, args, kwargs or {})
