"""Functions that ask the fence before they act, and putting them in the place of the others for a while.

guarded(os, "remove", answer)      os.remove(path) becomes answer(original, path) while the fence is closed
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from netcheck.load.fence.state import state

Answer = Callable[..., Any]  # (original, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class Patch:
    """One attribute to replace.

    Attributes:
        owner: the module or class.
        name: the attribute; one that the owner lacks is passed over.
        answer: called with the original and the arguments while the fence is closed.
        method: whether it is a method, which must bind to its instance.
    """

    owner: Any
    name: str
    answer: Answer
    method: bool = False


class Guarded:
    """A function with a guard before it. Like a builtin function it does not become a method in a class."""

    def __init__(self, original: Any, answer: Answer) -> None:
        functools.update_wrapper(self, original, updated=())
        self.original = original
        self.answer = answer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Ask, or do as the original does."""
        if not state.holds():
            return self.original(*args, **kwargs)
        return self.answer(self.original, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["original"], name)

    def __repr__(self) -> str:
        return repr(self.original)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return getattr, (__import__("importlib").import_module(self.original.__module__), self.original.__name__)


def guarded_method(original: Any, answer: Answer) -> Callable[..., Any]:
    """A method with a guard before it."""

    @functools.wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        if not state.holds():
            return original(*args, **kwargs)
        return answer(original, *args, **kwargs)

    return method


@contextmanager
def patched(patches: list[Patch]) -> Iterator[None]:
    """Put the guards in place, and take back those that are still there."""
    placed: list[tuple[Any, str, Any, Any, bool]] = []
    for patch in patches:
        original = getattr(patch.owner, patch.name, None)
        if original is None:
            continue
        inherited = patch.name not in vars(patch.owner)
        guard = guarded_method(original, patch.answer) if patch.method else Guarded(original, patch.answer)
        setattr(patch.owner, patch.name, guard)
        placed.append((patch.owner, patch.name, original, guard, inherited))
    try:
        yield
    finally:
        for owner, name, original, guard, inherited in reversed(placed):
            if vars(owner).get(name) is guard:  # else user code has put something of its own there
                if inherited:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)
