"""What is patched while a model is recorded, and only then: module calls, autograd functions, torch.compile, stack depth."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import nn

_ONE_AT_A_TIME = threading.RLock()  # two threads that patch in turn would each restore the other's patch
_ORIGINAL_CALL = nn.Module.__call__
# What Function.apply ends in, also where it was bound before: `swish = SwishFunction.apply` at the top of a module.
_FUNCTION_BASE: Any = torch.autograd.function._SingleLevelFunction
_MISSING = object()


class Hearer(Protocol):
    """Who is told of calls that no torch function announces."""

    def listens(self) -> bool:
        """Whether a call that is made now, on this thread, is forward's."""

    def call_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `module(*args, **kwargs)` does."""

    def apply(self, function: type[torch.autograd.Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `function.apply(*args, **kwargs)` does."""


@contextmanager
def patched(hearer: Hearer) -> Iterator[None]:
    """Have the calls of modules and autograd functions go to `hearer`."""
    with ExitStack() as stack:
        stack.enter_context(_ONE_AT_A_TIME)
        stack.enter_context(_replaced(nn.Module, "__call__", _module_call(hearer)))
        stack.enter_context(_replaced(_FUNCTION_BASE, "apply", _function_apply(hearer)))
        stack.enter_context(eager())
        # TorchScript's optimizer would keep fake tensors as constants of the user's own function.
        stack.enter_context(torch.jit.optimized_execution(False))
        stack.enter_context(deeper())
        yield


def original_apply(function: type[torch.autograd.Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`function.apply(*args, **kwargs)` as PyTorch has it."""
    return super(_FUNCTION_BASE, function).apply(*args, **kwargs)


def _module_call(hearer: Hearer) -> Callable[..., Any]:
    def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it takes the place of one
        if hearer.listens():
            return hearer.call_module(module, args, kwargs)
        return _ORIGINAL_CALL(module, *args, **kwargs)

    return __call__


def _function_apply(hearer: Hearer) -> Any:
    def apply(cls: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        if hearer.listens():
            return hearer.apply(cls, args, kwargs)
        return original_apply(cls, args, kwargs)

    return classmethod(apply)


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


def eager() -> Any:
    """Switch torch.compile off, if anything has switched it on (importing it costs a second)."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
