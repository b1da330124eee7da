"""Tensors inside nested values: the arguments and results of forward may be any Python object.

A *path* leads from a value to a tensor inside it: `(("item", 0), ("attr", "logits"))` is `value[0].logits`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

Step = tuple[str, Any]  # ("item", key) or ("attr", name)
Path = tuple[Step, ...]

_MAX_NESTING = 12
_PLAIN = (str, bytes, int, float, complex, bool, type(None), torch.dtype, torch.device, torch.Size, type, torch.nn.Module)


def is_namedtuple(value: object) -> bool:
    """Whether `value` is a tuple that is built from positional fields."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


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
    elif is_record(value):
        for name, item in vars(value).items():
            yield ("attr", name), item


def is_record(value: object) -> bool:
    """Whether `value` is a plain object (a dataclass instance, a cache, a batch) whose attributes are its content."""
    return hasattr(value, "__dict__") and not callable(value) and not isinstance(value, type(torch))


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


def rebuild(value: Any, change: Callable[[torch.Tensor], Any], nesting: int = 0) -> Any:
    """A copy of `value` in which every tensor is replaced by `change(tensor)`; what holds no tensor is shared, not copied."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, _PLAIN) or nesting > _MAX_NESTING or not any(True for _ in tensors(value)):
        return value

    def again(item: Any) -> Any:
        return rebuild(item, change, nesting + 1)

    if is_namedtuple(value):
        return type(value)(*(again(item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)([again(item) for item in value])
    if isinstance(value, slice):
        return slice(again(value.start), again(value.stop), again(value.step))
    if type(value) is dict:
        return {key: again(item) for key, item in value.items()}
    twin = copy.copy(value)
    for (how, key), item in children(value):
        if how == "item":
            twin[key] = again(item)
        else:
            object.__setattr__(twin, key, again(item))  # a frozen dataclass has no other way
    return twin


def assemble(template: Any, parts: Mapping[str, Any]) -> Any:
    """Build an object like `template` from new parts: fields of a dataclass, items of a mapping, attributes of an object.

    A traced graph calls this to return the very type that the model returned (a ModelOutput, a namedtuple, a cache).
    """
    if is_namedtuple(template):
        return type(template)(**parts)
    if dataclasses.is_dataclass(template) and not isinstance(template, type):
        constructed = {f.name for f in dataclasses.fields(template) if f.init}
        if constructed >= parts.keys():
            return type(template)(**parts)
    twin = copy.copy(template)
    for key, item in parts.items():
        if isinstance(template, Mapping):
            twin[key] = item
        else:
            object.__setattr__(twin, key, item)
    return twin
