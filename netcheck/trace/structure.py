"""Tensors inside nested values: the arguments and results of forward may be any Python object.

A *path* leads from a value to a tensor inside it: `(("item", 0), ("attr", "logits"))` is `value[0].logits`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from netcheck.source.weak import cached_by_class

Step = tuple[str, Any]  # ("item", key) or ("attr", name)
Path = tuple[Step, ...]

_MAX_NESTING = 12
_PLAIN = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    torch.dtype,
    torch.device,
    torch.Size,
    type,
    torch.nn.Module,
)


def children(value: object) -> Iterator[tuple[Step, Any]]:
    """The direct parts of a container, each with the step that leads to it. Nothing for a leaf."""
    if isinstance(value, (torch.Tensor, *_PLAIN)):
        return
    if isinstance(value, Mapping):
        for key in value:
            yield ("item", key), value[key]
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield ("item", index), item
    elif isinstance(value, slice):
        for name in ("start", "stop", "step"):
            yield ("attr", name), getattr(value, name)
    else:
        for name, item in attributes(value):
            yield ("attr", name), item


def attributes(value: object) -> Iterator[tuple[str, Any]]:
    """The content of a plain object (a dataclass instance, a cache): what its `__dict__` and slots hold."""
    if callable(value) or isinstance(value, type(torch)):
        return
    yield from getattr(value, "__dict__", {}).items()
    cls: Any = type(value)
    for name in slots(cls):
        if hasattr(value, name):
            yield name, getattr(value, name)


@cached_by_class
def slots(cls: Any) -> tuple[str, ...]:
    """The names of the slots that a class and its bases declare."""
    declared = (base.__dict__.get("__slots__", ()) for base in cls.__mro__)
    names = [name for entry in declared for name in ((entry,) if isinstance(entry, str) else entry)]
    return tuple(name for name in dict.fromkeys(names) if not name.startswith("__"))


def tensors(value: object, path: Path = ()) -> Iterator[tuple[Path, torch.Tensor]]:
    """Every tensor inside `value` with its path, in order; an object that contains itself is entered once."""
    yield from _tensors(value, path, set())


def _tensors(value: object, path: Path, entered: set[int]) -> Iterator[tuple[Path, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    if isinstance(value, _PLAIN) or id(value) in entered or len(path) > _MAX_NESTING:
        return
    entered.add(id(value))
    for step, item in children(value):
        yield from _tensors(item, (*path, step), entered)


def rebuild(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """A copy of `value` with `change(tensor)` for every tensor; what holds no tensor is shared, not copied."""
    return _rebuild(value, change, {})


def _rebuild(value: Any, change: Callable[[torch.Tensor], Any], known: dict[int, Any]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if id(value) in known:  # held twice, perhaps by itself
        return known[id(value)]
    if isinstance(value, _PLAIN) or not any(True for _ in tensors(value)):
        return value
    parts = list(children(value))
    if isinstance(value, tuple | slice):
        return _immutable_like(value, [_rebuild(item, change, known) for _, item in parts])
    twin = known[id(value)] = copy.copy(value)
    for step, item in parts:
        _put(twin, step, _rebuild(item, change, known))
    return twin


def assemble(template: Any, parts: Mapping[str | int, Any]) -> Any:
    """Build an object like `template` with new parts, each given by its name, or by its position if it has none.

    A traced graph calls this to return the very type that the model returned (a ModelOutput, a namedtuple, a cache).
    No constructor runs: it might change or refuse what was already constructed once.
    """
    old = list(children(template))
    new = [parts.get(part_name(step, position), item) for position, (step, item) in enumerate(old)]
    if isinstance(template, tuple | slice):
        return _immutable_like(template, new)
    twin = copy.copy(template)
    for (step, _), item in zip(old, new, strict=True):
        _put(twin, step, item)
    return twin


def part_name(step: Step, position: int) -> str | int:
    """What `assemble` calls a part: keys that are no text may be anything, and hard to print."""
    return step[1] if isinstance(step[1], str) else position


def _put(twin: Any, step: Step, item: Any) -> None:
    how, key = step
    if how == "item":
        twin[key] = item
    else:
        object.__setattr__(twin, key, item)  # a frozen dataclass has no other way


def _immutable_like(value: Any, items: Sequence[Any]) -> Any:
    if type(value) is tuple:
        return tuple(items)
    if isinstance(value, slice):
        return slice(*items)
    if hasattr(value, "n_sequence_fields"):  # torch.return_types: made by C, from one sequence
        return type(value)(items)
    twin = tuple.__new__(type(value), items)
    if hasattr(value, "__dict__"):
        vars(twin).update(vars(value))
    return twin
