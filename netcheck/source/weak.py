"""Remember what a function says of a class, but not the class: a reloaded module or a redefined class may go."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")


def cached_by_class(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """`functools.cache` for a function of one class. Its results must not hold the class."""
    known: WeakKeyDictionary[type, Result] = WeakKeyDictionary()

    @functools.wraps(function)
    def cached(kind: type) -> Result:
        if kind not in known:
            known[kind] = function(kind)
        return known[kind]

    cached.cache_clear = known.clear  # type: ignore[attr-defined]
    return cached
