"""Tensors inside nested values: the arguments and results of forward may be any Python object.

A *path* leads from a value to a tensor inside it: `(("item", 0), ("attr", "logits"))` is `value[0].logits`.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from netcheck.source.weak import cached_by_class

Step = tuple[str, Any]  # ("item", key) or ("attr", name)
Path = tuple[Step, ...]

# While values are walked, which may nest deeper than Python's stack, and hold one thing in many places:
Link = tuple["Link", Step] | None  # the way to a value: that to its container, and a step
Place = tuple[int, int]  # the id of a container, and which of its parts
Contents = dict[int, tuple[Any, list[tuple[Step, Any]]]]  # by id: a container, and its parts

_FEW = 8  # containers in a value, from which nothing large can be made
_DEEPEST = 12  # containers in each other that are written as one literal
_MAX_OBJECTS = 12  # attributes of attributes that are followed: beyond, it is a web of objects and no value
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
_LEAVES = (torch.Tensor, *_PLAIN)


def children(value: object) -> Iterator[tuple[Step, Any]]:
    """The direct parts of a container, each with the step that leads to it. Nothing for a leaf."""
    if isinstance(value, _LEAVES):
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
    """Every tensor inside `value` with its path, in order; what is held twice, or by itself, is entered once."""
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    for _, link, tensor in _walk(value, {}):
        yield (*path, *steps_of(link)), tensor


def rebuild(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """A copy of `value` with `change(tensor)` for every tensor; what holds no tensor is shared, not copied.

    What is held twice is held twice by the copy too.
    """
    if isinstance(value, torch.Tensor):
        return change(value)
    contents: Contents = {}
    changed = {place: change(tensor) for place, _, tensor in _walk(value, contents)}
    holding = _holding(contents, changed)
    if id(value) not in holding:
        return value
    made: dict[int, Any] = {}
    pending = [(value, False)]
    while pending:
        one, parts_are_made = pending.pop()
        if id(one) in made and not parts_are_made:
            continue
        parts = contents[id(one)][1]
        if not parts_are_made:
            if not isinstance(one, tuple | slice):
                made[id(one)] = copy.copy(one)  # before its parts, which may hold it
            pending.append((one, True))
            pending += [(item, False) for _, item in parts if id(item) in holding and id(item) not in made]
            continue
        items = [changed.get((id(one), number), made.get(id(item), item)) for number, (_, item) in enumerate(parts)]
        if isinstance(one, tuple | slice):
            made[id(one)] = _immutable_like(one, items)
        else:
            for (step, _), item in zip(parts, items, strict=True):
                _put(made[id(one)], step, item)
    return made[id(value)]


def _walk(value: object, contents: Contents) -> Iterator[tuple[Place, Link, torch.Tensor]]:
    """Every tensor inside of a container, in order, and on the way all `contents` of the containers in it."""
    pending: list[tuple[Place, Link, int, object]] = [((0, 0), None, 0, value)]
    while pending:
        place, link, objects, one = pending.pop()
        if isinstance(one, torch.Tensor):
            yield place, link, one
        elif not isinstance(one, _PLAIN) and id(one) not in contents and objects <= _MAX_OBJECTS:
            parts = list(children(one))
            contents[id(one)] = one, parts  # which keeps it alive, so that its id is not used again
            pending += [
                ((id(one), number), (link, step), objects + (step[0] == "attr"), item)
                for number, (step, item) in reversed(list(enumerate(parts)))
            ]


def _holding(contents: Contents, places: Iterable[Place]) -> set[int]:
    """The ids of the containers with a tensor at one of these places, and of those that hold one of them."""
    holders: dict[int, list[int]] = {}
    for key, (_, parts) in contents.items():
        for _, item in parts:
            if id(item) in contents:
                holders.setdefault(id(item), []).append(key)
    found = {key for key, _ in places}
    pending = list(found)
    while pending:
        new = [key for key in holders.get(pending.pop(), ()) if key not in found]
        found.update(new)
        pending += new
    return found


def knots(value: Any) -> list[Any]:
    """The containers inside `value` that no literal can hold, the innermost first.

    They are in several others (written out, forty pairs of pairs would be 10^12), or deeper than Python parses. Of a value
    with few containers there are none.
    """
    items = value.values() if type(value) is dict else value if type(value) in (tuple, list) else (value,)
    if all(isinstance(item, _LEAVES) for item in items):
        return []
    contents: Contents = {}
    for _ in _walk(value, contents):
        pass
    if len(contents) <= _FEW:
        return []
    held: Counter[int] = Counter(id(item) for _, parts in contents.values() for _, item in parts if id(item) in contents)
    height: dict[int, int] = {}
    found = []
    for one, parts in _innermost_first(value, contents):
        height[id(one)] = 1 + max((height.get(id(item), 0) for _, item in parts), default=0)
        if one is not value and (held[id(one)] > 1 or height[id(one)] > _DEEPEST or type(one) not in (tuple, list, dict)):
            height[id(one)] = 0
            found.append(one)
    return found


def _innermost_first(value: object, contents: Contents) -> Iterator[tuple[Any, list[tuple[Step, Any]]]]:
    """What `contents` has of a container and those in it, each after its parts."""
    entered: set[int] = set()
    pending = [(id(value), False)]
    while pending:
        key, parts_are_done = pending.pop()
        if parts_are_done:
            yield contents[key]
        elif key in contents and key not in entered:
            entered.add(key)
            pending.append((key, True))
            pending += [(id(item), False) for _, item in reversed(contents[key][1])]


def container(parts: Any) -> Any:
    """A container as it is: what a traced graph calls where other containers hold it several times, or deep inside."""
    return parts


def steps_of(link: Link) -> Path:
    """The steps of a link, from the outermost on."""
    steps = []
    while link is not None:
        link, step = link
        steps.append(step)
    return tuple(reversed(steps))


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
