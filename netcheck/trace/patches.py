"""What is patched while a model is recorded, and only then: module calls, autograd functions, torch.compile, stack depth."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from netcheck.torch_versions import BackwardCFunction, applied_by_torch, appliers, eager, early_applied

_ONE_AT_A_TIME = threading.RLock()  # two threads that patch in turn would each restore the other's patch
_ORIGINAL_CALL = nn.Module.__call__
_MISSING = object()

Function = type[torch.autograd.Function]


class Hearer(Protocol):
    """Who is told of calls that no torch function announces."""

    def listens(self) -> bool:
        """Whether a call that is made now, on this thread, is forward's."""

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does."""

    def apply(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[..., Any]) -> Any:
        """What `function.apply(*args, **kwargs)` does; `run(*args, **kwargs)` is how PyTorch does it."""


@contextmanager
def patched(hearer: Hearer) -> Iterator[None]:
    """Have the calls of modules and autograd functions go to `hearer`."""
    with ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        stack.enter_context(_replaced(nn.Module, "__call__", _module_call(hearer)))
        stack.enter_context(_replaced(appliers(), "apply", _function_apply(hearer)))
        stack.enter_context(early_applied(hearer.listens, partial(_forward, hearer)))
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


def _function_apply(hearer: Hearer) -> Any:
    def apply(cls: Function, *args: Any, **kwargs: Any) -> Any:
        if hearer.listens():
            return hearer.apply(cls, args, kwargs, lambda *a, **k: applied_by_torch(cls, a, k))
        return applied_by_torch(cls, args, kwargs)

    return classmethod(apply)


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
def _replaced(owner: type, name: str, value: Any) -> Iterator[None]:
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
