"""Run a model on stand-ins for its tensors, and leave it bit for bit as it was.

    with preserved_globals():                       RNGs, torch's defaults, stdout, torch's own log
        snapshot = Snapshot(model)
        snapshot.substitute(stand_in)               every parameter, buffer and stray tensor
        try:
            model(...)
        finally:
            snapshot.restore()                      attributes, hooks, lists, classes: all as before

The snapshot follows whatever the model can reach: submodules (registered or kept in a list), plain objects,
containers, what hooks close over, and the containers among the globals that forward and the hooks name.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import types
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.load.randomness import preserved_random_state

MOST_HOLDERS = 200_000  # an object graph that large (a trainer, a data set) is not the model's own state
MOST_ELEMENTS = 10_000  # a longer list is copied, but its elements are not followed

ATOMS = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type(None),
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    Tensor,
    torch.dtype,
)


class Snapshot:
    """What every object that a model can reach holds now."""

    def __init__(self, model: nn.Module) -> None:
        self._holders: list[
            tuple[Any, Any, type]
        ] = []  # (a dict, list, set or deque; its copy; the class of its owner)
        self._owners: dict[int, Any] = {}
        self._seen: set[int] = set()
        self._keep: list[Any] = []  # so that no id in _seen is used twice
        self._collect(model)

    def substitute(self, stand_in: Callable[[Tensor], Tensor]) -> None:
        """Put `stand_in(tensor)` where a tensor is held; the same stand-in wherever the same tensor is."""
        known: dict[int, Tensor] = {}
        for holder, copy, _ in self._holders:
            if isinstance(holder, dict):
                items: Any = copy.items()
            elif isinstance(holder, list):
                items = enumerate(copy)
            else:
                continue
            for key, value in items:
                if isinstance(value, Tensor):
                    if id(value) not in known:
                        known[id(value)] = stand_in(value)
                    put(holder, key, known[id(value)])

    def restore(self) -> None:
        """Put everything back."""
        for index, (holder, copy, kind) in enumerate(self._holders):
            owner = self._owners.get(index)
            if owner is not None and type(owner) is not kind:
                owner.__class__ = kind  # a lazy module becomes another class when it first runs
            if isinstance(holder, dict):
                if not same_items(holder, copy):
                    kind_of(holder).clear(holder)
                    kind_of(holder).update(holder, copy)
            elif isinstance(holder, list):
                if len(holder) != len(copy) or any(a is not b for a, b in zip(holder, copy, strict=True)):
                    holder[:] = copy
            else:
                holder.clear()
                (holder.update if isinstance(holder, set) else holder.extend)(copy)

    def _collect(self, root: Any) -> None:
        pending = [root]
        while pending and len(self._holders) < MOST_HOLDERS:
            value = pending.pop()
            if isinstance(value, ATOMS) or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            self._keep.append(value)
            pending.extend(self._visit(value))

    def _visit(self, value: Any) -> list[Any]:
        """Note what `value` holds; return what to look at next."""
        if isinstance(value, dict):
            self._holders.append((value, dict(dict.items(value)), type(value)))
            return list(dict.values(value))[:MOST_ELEMENTS]
        if isinstance(value, (list, set, deque)):
            self._holders.append((value, list(value), type(value)))
            return list(value)[:MOST_ELEMENTS]
        if isinstance(value, (tuple, frozenset)):
            return list(value)[:MOST_ELEMENTS]
        if isinstance(value, types.FunctionType):
            return [*closure(value), *globals_of(value)]
        if isinstance(value, types.MethodType):
            return [value.__self__, value.__func__]
        if isinstance(value, functools.partial):
            return [value.func, *value.args, *value.keywords.values()]
        held = getattr(value, "__dict__", None)
        if not isinstance(held, dict):
            return []
        self._owners[len(self._holders)] = value
        self._holders.append((held, dict(held), type(value)))
        following = list(held.values())
        if isinstance(value, nn.Module):
            following.append(getattr(type(value), "forward", None))
        return following


def put(holder: Any, key: Any, value: Any) -> None:
    """Set an item past whatever a subclass makes of it."""
    kind_of(holder).__setitem__(holder, key, value)


def kind_of(holder: Any) -> Any:
    """The built-in class whose methods change `holder` and nothing else."""
    return OrderedDict if isinstance(holder, OrderedDict) else dict if isinstance(holder, dict) else list


def same_items(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    """Whether two dicts hold the very same objects in the same order."""
    return len(left) == len(right) and all(
        a is b and x is y for (a, x), (b, y) in zip(dict.items(left), dict.items(right), strict=True)
    )


def closure(function: types.FunctionType) -> list[Any]:
    """What a function closes over."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # a cell that is still empty
            found.append(cell.cell_contents)
    return found


def globals_of(function: types.FunctionType) -> list[Any]:
    """The containers among the globals that a function names, unless it is torch's own."""
    if function.__module__ is None or function.__module__.split(".")[0] == "torch":
        return []
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    return [value for value in named if isinstance(value, (dict, list, set, deque))]


@contextlib.contextmanager
def preserved_globals() -> Iterator[None]:
    """Put back the random generators and torch's defaults; drop what the model prints or logs."""
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    log = logging.getLogger("torch._subclasses.fake_tensor")
    disabled, log.disabled = log.disabled, True  # it logs a traceback for each operation that fails
    sink = io.StringIO()
    sink.write = len  # type: ignore[method-assign]  # keeps nothing
    try:
        with (
            preserved_random_state(),
            torch.jit.optimized_execution(False),  # else TorchScript keeps fake tensors as constants of its functions
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = disabled
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
