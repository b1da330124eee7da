"""Hear every operation that forward does, and have each written down as a torch.fx node.

    Recorder                     a TorchFunctionMode: sees every torch call that forward makes
      +-- call_module                nn.Module.__call__: leaves become one node, the others are entered
      +-- __torch_function__         everything else becomes one call_function or call_method node
      +-- apply                      torch.autograd.Function: a leaf, unless it runs modules or callables
      +-- dispatched                 what reaches the dispatcher unannounced, if an `Unannounced` listens
      each: _run                     computes, on fake tensors quickly (see `netcheck.trace.fakes`)
            Scribe.add               writes the node (see `netcheck.trace.scribe`)

Tensors are fake unless their values matter (see `netcheck.trace.run`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import GeneratorType
from typing import Any

import torch
from torch import nn

from netcheck.load.held import Census
from netcheck.torch_versions import DispatchMode, TorchFunctionMode, mode_popped, uncompiled
from netcheck.trace import structure
from netcheck.trace.calls import (
    METADATA,
    READS,
    VALUE_NEEDED,
    AutogradCall,
    as_written,
    brief,
    holds_tensor,
    set_attribute,
    set_item,
    writes,
)
from netcheck.trace.fakes import Fakes
from netcheck.trace.leaves import is_leaf, unwrapped
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
        with patched(self):
            self._scribe.note_switches()
            with self:
                yield

    def listens(self) -> bool:
        """Whether a call that is made now, on this thread, is forward's."""
        return not self._scribe.paused and threading.get_ident() == self._thread

    # ---- what forward calls -------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self._scribe.paused:
            return func(*args, **kwargs)
        if name in METADATA:
            self._glance(args)
            return func(*args, **kwargs)
        if name == "__iter__":  # `for row in tensor`: the iterator itself is no tensor, the rows are
            return iter(self.__torch_function__(torch.Tensor.unbind, types, args))
        if name == "__get__":
            return self._property(func, args[0])
        if name == "__set__":
            return self._assignment(func, *args)
        result = self._run(name, func, args, kwargs)
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
        return result

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does while recording: record a leaf, enter anything else."""
        module = unwrapped(module)
        path = self._scribe.path(module)
        self.recording.entered.add(id(module))
        if not is_leaf(module):
            before = self._scribe.clock
            with self._scribe.inside(path, module):
                result = uncompiled(module)(*args, **kwargs)
            if isinstance(result, GeneratorType):
                return self._steps_inside(path, module, result)
            return self._scribe.returned(result, before)
        call = module.__call__ if isinstance(module, torch.jit.ScriptModule) else uncompiled(module)
        with mode_popped():
            result = self._run(type(module).__name__, call, args, kwargs, leaf=module)
        target = self._scribe.keep(path or type(module).__name__, module)  # the root itself may be a leaf
        changed = bool(args) and result is args[0] and bool(getattr(module, "inplace", False))
        mutated = result if changed else None
        return self._scribe.add("call_module", target, args, kwargs, result, leaf=module, mutated=mutated)

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
        if function.__name__ == "CheckpointFunction" and function.__module__ == "torch.utils.checkpoint":
            inner, _preserve_rng_state, *inputs = args
            return inner(*inputs)
        if any(callable(arg) and not isinstance(arg, torch.Tensor) for arg in args):
            return function.forward(torch.autograd.function.FunctionCtx(), *args, **kwargs)  # it runs what it is given
        with mode_popped():
            result = self._run(function.__name__, run, args, kwargs)
        return self._scribe.add("call_function", AutogradCall(function), args, kwargs, result)

    def dispatched(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An ATen operation that no torch function announced (a TorchScript function, an extension)."""
        result = func(*args, **kwargs)
        if self._scribe.paused or not holds_tensor(result):
            return result
        mutated = result if args and result is args[0] else None
        return self._scribe.add("call_function", func, args, kwargs, result, mutated=mutated)

    # ---- what forward asks of a tensor --------------------------------------------------------------------------

    def _property(self, func: Any, tensor: torch.Tensor) -> Any:
        """`tensor.T`, `.mT`, `.data`, `.real` are tensors; `.shape`, `.device` and the like are not."""
        result = func(tensor)
        if isinstance(result, torch.Tensor):
            name = getattr(getattr(func, "__self__", None), "__name__", "")
            if name != "grad":
                return self._scribe.add("call_function", getattr, (tensor, name), {}, result)
        else:
            self._glance((tensor,))
        return result

    def _assignment(self, func: Any, tensor: torch.Tensor, value: Any) -> None:
        func(tensor, value)
        name = getattr(getattr(func, "__self__", None), "__name__", "")
        if isinstance(value, torch.Tensor) and name == "data":
            self._scribe.add("call_function", set_attribute, (tensor, name, value), {}, tensor, mutated=tensor)

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

    def _run(self, name: str, call: Callable[..., Any], args: Any, kwargs: Any, leaf: nn.Module | None = None) -> Any:
        """Call, with recording off; on an exception note what was called, with what, and where."""
        before, self._scribe.paused = self._scribe.paused, True
        try:
            if self._fakes is None:
                return call(*args, **kwargs)
            if leaf is not None:
                return self._fakes.run_leaf(leaf, call, args, kwargs)
            return self._fakes.run(name, call, args, kwargs)
        except VALUE_NEEDED as error:
            value = self._value_of(call, args, kwargs)
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
