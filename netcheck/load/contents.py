"""What a container holds: taken down, and put back as it was, past whatever a subclass makes of its methods."""

from __future__ import annotations

import operator
import sys
from collections import OrderedDict, deque
from typing import Any

CONTAINERS = (dict, list, set, deque)


def saved(holder: Any) -> Any:
    """The content of a dict, list, set, deque or NumPy array, for `restore`."""
    if is_array(holder):
        return holder.copy()
    if isinstance(holder, dict):
        return dict(dict.items(holder))
    return set(holder) if isinstance(holder, set) else list(builtin_of(holder).__iter__(holder))


def restore(holder: Any, content: Any) -> None:
    """Put back what `saved` gave; a container that still holds the very same objects is left alone."""
    if is_array(holder):
        holder[...] = content
    elif not same(holder, content):
        kind = builtin_of(holder)
        kind.clear(holder)
        (kind.extend if kind in (list, deque) else kind.update)(holder, content)


def values_in(holder: Any) -> list[Any]:
    """The objects that a holder, or what `saved` gave of it, holds; none of an array."""
    if is_array(holder):
        return []
    return list(dict.values(holder) if isinstance(holder, dict) else holder)


def put(holder: Any, key: Any, value: Any) -> None:
    """Set an item of a dict, list or deque."""
    builtin_of(holder).__setitem__(holder, key, value)


def same(holder: Any, content: Any) -> bool:
    """Whether `holder` still holds the very objects of `content`, in order."""
    kind = builtin_of(holder)
    if kind.__len__(holder) != len(content):
        return False
    if isinstance(holder, dict):
        same_values = all(map(operator.is_, dict.values(holder), content.values()))
        return same_values and all(map(operator.is_, kind.__iter__(holder), content))
    if isinstance(holder, set):
        return set.__eq__(holder, content) is True
    return all(map(operator.is_, kind.__iter__(holder), content))


def builtin_of(holder: Any) -> Any:
    """The built-in class whose methods change `holder` and nothing else."""
    kind = type(holder)
    return kind if kind in (dict, list, set, deque, OrderedDict) else next(
        base for base in (OrderedDict, *CONTAINERS) if isinstance(holder, base)
    )  # fmt: skip


def is_array(value: Any) -> bool:
    """Whether a value is a NumPy array; a program that holds one has imported it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)
