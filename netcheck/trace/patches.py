"""What is patched while a model is recorded, and only then: module calls, autograd functions, torch.compile, stack depth."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, Protocol

import torch
from torch import nn

from netcheck.compiler import eager
from netcheck.torch_versions import (
    BackwardCFunction,
    applied_by_torch,
    appliers,
    early_applied,
    scripts_as_written,
    transforms_heard,
)

_ONE_AT_A_TIME = threading.RLock()  # two threads that patch in turn would each restore the other's patch
_ORIGINAL_CALL = nn.Module.__call__
_ORIGINAL_SET = torch.Tensor.set_  # the one method that torch announces to no mode
_MISSING = object()

Function = type[torch.autograd.Function]


class Hearer(Protocol):
    """Who is told of calls that no torch function announces."""

    def listens(self) -> bool:
        """Whether a call that is made now, on this thread, is forward's."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What a function or method of torch's does."""

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does."""

    def parameter(self, made: nn.Parameter, data: torch.Tensor) -> None:
        """`nn.Parameter(data)` has made this; no torch function tells of that."""

    def exchanged(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """`torch.utils.swap_tensors` has made each of these objects what the other was (`module.double()` may do so)."""

    def shallow_copy(self, tensor: torch.Tensor) -> torch.Tensor:
        """What `copy.copy(tensor)` does."""

    def from_numpy(self, array: Any, run: Callable[..., torch.Tensor]) -> torch.Tensor:
        """What `torch.from_numpy(array)` does; `run` is PyTorch's own."""

    def backward(self, tensors: Any, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[..., Any]) -> None:
        """What `torch.autograd.backward(tensors, *args, **kwargs)` does, and `tensor.backward()`; `run` is PyTorch's own."""

    def transform(self, name: str, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a function that torch.func made does; `run(*args, **kwargs)` is how PyTorch does it."""

    def apply(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[..., Any]) -> Any:
        """What `function.apply(*args, **kwargs)` does; `run(*args, **kwargs)` is how PyTorch does it."""


@contextmanager
def patched(hearer: Hearer) -> Iterator[None]:
    """Have the calls of modules and autograd functions go to `hearer`."""
    with ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        stack.enter_context(_replaced(nn.Module, "__call__", _module_call(hearer)))
        stack.enter_context(_replaced(appliers(), "apply", _function_apply(hearer)))
        stack.enter_context(_replaced(nn.Parameter, "__new__", _new_parameter(hearer)))
        stack.enter_context(_replaced(torch.utils, "swap_tensors", _swap(hearer, torch.utils.swap_tensors)))
        stack.enter_context(_replaced(torch, "from_numpy", _from_numpy(hearer, torch.from_numpy)))
        stack.enter_context(_replaced(torch.autograd, "backward", _backward(hearer, torch.autograd.backward)))
        stack.enter_context(transforms_heard(partial(_transform, hearer)))
        stack.enter_context(scripts_as_written(hearer.listens))
        stack.enter_context(early_applied(hearer.listens, partial(_forward, hearer)))
        stack.enter_context(_replaced(torch.Tensor, "set_", _set(hearer)))
        stack.enter_context(_replaced(torch.Tensor, "__copy__", _shallow_copy(hearer)))
        stack.enter_context(eager())
        # TorchScript's optimizer would keep fake tensors as constants of the user's own function.
        stack.enter_context(torch.jit.optimized_execution(False))
        # It would ask where the weights are, which stand-ins cannot say, and move them.
        stack.enter_context(_replaced(nn.RNNBase, "flatten_parameters", lambda layer: None))
        stack.enter_context(deeper())
        yield


def _module_call(hearer: Hearer) -> Callable[..., Any]:
    def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it takes the place of one
        if hearer.listens():
            return hearer.call_module(module, args, kwargs)
        return _ORIGINAL_CALL(module, *args, **kwargs)

    return __call__


def _set(hearer: Hearer) -> Callable[..., Any]:
    def set_(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if hearer.listens():
            return hearer.__torch_function__(_ORIGINAL_SET, (), (tensor, *args), kwargs)
        return _ORIGINAL_SET(tensor, *args, **kwargs)

    return set_


def _shallow_copy(hearer: Hearer) -> Callable[[torch.Tensor], Any]:
    def __copy__(tensor: torch.Tensor) -> Any:  # noqa: N807 - as above
        if hearer.listens():
            return hearer.shallow_copy(tensor)
        rebuild, given, *_ = tensor.__reduce_ex__(4)  # torch has no such method; this is what `copy.copy` does without
        return rebuild(*given)

    return __copy__


def _function_apply(hearer: Hearer) -> Any:
    def apply(cls: Function, *args: Any, **kwargs: Any) -> Any:
        if hearer.listens():
            return hearer.apply(cls, args, kwargs, lambda *a, **k: applied_by_torch(cls, a, k))
        return applied_by_torch(cls, args, kwargs)

    return classmethod(apply)


def _new_parameter(hearer: Hearer) -> Any:
    run = nn.Parameter.__new__

    def __new__(cls: type[nn.Parameter], data: Any = None, requires_grad: bool = True) -> nn.Parameter:  # noqa: N807 - as above
        made = run(cls, data, requires_grad)
        if data is not None and hearer.listens():
            hearer.parameter(made, data)
        return made

    return staticmethod(__new__)


def _swap(hearer: Hearer, run: Callable[..., None]) -> Callable[..., None]:
    @wraps(run)
    def swap_tensors(one: torch.Tensor, other: torch.Tensor) -> None:
        run(one, other)
        if hearer.listens():
            hearer.exchanged(one, other)

    return swap_tensors


def _from_numpy(hearer: Hearer, run: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    @wraps(run)
    def from_numpy(array: Any) -> torch.Tensor:
        return hearer.from_numpy(array, run) if hearer.listens() else run(array)

    return from_numpy


def _backward(hearer: Hearer, run: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(run)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
        if hearer.listens():
            hearer.backward(tensors, args, kwargs, run)
        else:
            run(tensors, *args, **kwargs)

    return backward


def _transform(hearer: Hearer, name: str, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if hearer.listens():
        return hearer.transform(name, run, args, kwargs)
    return run(*args, **kwargs)


def _forward(hearer: Hearer, function: Function, gradients: bool, forward: Callable[..., Any]) -> Callable[..., Any]:
    """What takes the place of a function's `forward`, where PyTorch has begun to apply it before anybody could hear of that.

    Gradients are off in there, and were on around it (`gradients`) as the hearer is to see it.
    """

    def heard(*given: Any) -> Any:
        own = given[:1] if given and isinstance(given[0], BackwardCFunction) else ()  # the context; none with setup_context
        run = torch.no_grad()(partial(forward, *own))
        with torch.set_grad_enabled(gradients):
            return hearer.apply(function, given[len(own) :], {}, run)

    return heard


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = owner.__dict__.get(name, _MISSING)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if original is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


@contextmanager
def deeper() -> Iterator[None]:
    """Let Python nest as deep as the model may by itself: recording adds a frame to each module's three, and more to a leaf."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit * 3 // 2 + 500)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
