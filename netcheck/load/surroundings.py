"""What the code of a model can reach beside the model, so that running it leaves no trace there either.

    surroundings = Surroundings(model.modules())
    model(x)                     fills a global cache, counts in a class attribute, rebinds a global, calls what
    surroundings.restore()       functools caches, has its hooks append to a list ... and all of that is undone

Otherwise a cache that forward fills on its first run (positions, masks, rotary tables) would keep the fake tensors
of a trace, and the user's own next run would compute with them.

What is followed is what the code names: the globals, closures, methods and functions that occur in forward and in
the hooks, and so on from there. What it reaches by getattr, by eval, in slots or in the globals of an installed
package is not seen.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from torch import nn

from netcheck.load.contents import CONTAINERS, is_array, restore, same, saved, values_in
from netcheck.load.keeping import PutBack
from netcheck.load.raised import is_installed
from netcheck.load.randomness import generator_kept, is_generator
from netcheck.torch_versions import global_hooks

_LARGEST_COPY = 10_000_000  # elements of a tensor whose values are kept in case they are overwritten
_MOST = 20_000  # objects that are looked at: a larger web (a trainer, a data set) is not what forward computes with
_MOST_ELEMENTS = 1_000  # of one container that are followed
_OPAQUE = frozenset(("torch", "numpy", "netcheck", *sys.stdlib_module_names)) - {"types", "argparse"}  # namespaces
_ATOMS = (
    str, bytes, int, float, complex, type(None), torch.dtype, torch.device, torch.Size,
    types.BuiltinFunctionType,
)  # fmt: skip
_SPECIAL = ("__init__", "__call__", "forward", "backward", "setup_context")  # what calling a class or an object runs
_STORES = frozenset((dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]))
_CACHE = type(functools.lru_cache(lambda: None))
_MISSING = object()


class Surroundings:
    """What the code of some modules can reach, as it is now.

    Args:
        modules: whose forward and hooks are followed.
        known: ids of what somebody else looks after: the modules themselves, and all that they hold.
    """

    def __init__(self, modules: Iterable[nn.Module] = (), known: Iterable[int] = ()) -> None:
        self.containers: list[Any] = []  # dicts, lists, sets and deques of the user's
        self.seen = set(known)
        self._contents: list[Any] = []
        self._globals: list[tuple[dict[str, Any], str, Any]] = []  # those that the code assigns to
        self._cells: list[tuple[types.CellType, Any]] = []
        self._classes: dict[type, dict[str, Any]] = {}
        self._tensors: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._caches: list[tuple[Any, int]] = []
        self._drawn: list[PutBack] = []  # generators of random numbers
        self._keep: list[Any] = []  # so that no id is used twice
        self._entered: set[tuple[type | None, int]] = set()  # functions, with the class that they are a method of
        self._pending: list[tuple[Any, type | None, tuple[str, ...]]] = []
        modules = list(modules)
        for kind in dict.fromkeys(map(type, modules)):
            self._visit_namespace(kind, ("forward",))
        self._follow(global_hooks())
        for module in modules:
            self._follow([module.__dict__["forward"]] if "forward" in module.__dict__ else [], type(module))
            self._follow([*module._forward_hooks.values(), *module._forward_pre_hooks.values()])
        while self._pending and len(self._keep) < _MOST:
            with contextlib.suppress(Exception):  # a proxy may raise when it is looked at: it is passed over
                self._visit(*self._pending.pop())
        self._pending.clear()

    def additions(self) -> Iterator[Any]:
        """What containers hold by now that they did not hold before."""
        for container, content in zip(self.containers, self._contents, strict=True):
            if is_array(container) or same(container, content):
                continue
            before = set(map(id, values_in(content)))
            yield from (value for value in values_in(container) if id(value) not in before)

    def restore(self) -> None:
        """Put everything back."""
        for cache, misses in self._caches:
            if cache.cache_info().misses != misses:
                cache.cache_clear()  # what it has learned cannot be told from what it knew
        for container, content in zip(self.containers, self._contents, strict=True):
            restore(container, content)
        for namespace, name, value in self._globals:
            if value is _MISSING:
                namespace.pop(name, None)
            else:
                namespace[name] = value
        for cell, value in self._cells:
            if value is _MISSING:
                del cell.cell_contents
            else:
                cell.cell_contents = value
        for kind, attributes in self._classes.items():
            restore_class(kind, attributes)
        for tensor, values in self._tensors:
            if not torch.equal(tensor, values):  # its version does not tell: batch_norm writes without counting
                tensor.data.copy_(values)
        for put_back in self._drawn:
            put_back()

    # ---- following: `names` are those that the code says which led here, `owner` is the class of a method ----------

    def _follow(self, values: Iterable[Any], owner: type | None = None, names: tuple[str, ...] = ()) -> None:
        self._pending.extend((value, owner, names) for value in values if not issubclass(type(value), _ATOMS))

    def _visit(self, value: Any, owner: type | None, names: tuple[str, ...]) -> None:
        if isinstance(value, type):
            self._visit_namespace(value, (*names, *_SPECIAL))
        elif isinstance(value, types.ModuleType):
            self._visit_namespace(value, names)
        elif isinstance(value, types.FunctionType):
            if (owner, id(value)) not in self._entered:
                self._entered.add((owner, id(value)))
                self._keep.append(value)
                self._visit_function(value, owner)
        elif id(value) not in self.seen:
            self.seen.add(id(value))
            self._keep.append(value)
            self._visit_object(value, owner, names)

    def _visit_function(self, function: types.FunctionType, owner: type | None) -> None:
        if is_opaque(function.__module__):
            return
        self._hold(function.__dict__)  # `f.calls += 1`
        code, space = function.__code__, function.__globals__
        names = names_in(code)
        found = [space[name] for name in names if name in space]
        cells = [(cell, content_of(cell)) for cell in function.__closure__ or ()]
        if is_installed(code.co_filename):
            found = list(filter(is_code, found))
        else:
            self._globals.extend((space, name, space.get(name, _MISSING)) for name in assigned_in(code))
            self._cells.extend(cells)
        self._follow(found, names=names)
        self._follow((value for _, value in cells), owner, names)
        if owner is not None:
            self._visit_namespace(owner, names)

    def _visit_namespace(self, space: Any, names: tuple[str, ...]) -> None:
        """The attributes of a class or a module that code names."""
        kind = space if isinstance(space, type) else None
        for base in space.__mro__ if kind else (space,):
            if is_opaque(base.__module__ if kind else base.__name__):
                continue
            attributes = vars(base)
            found = [attributes[name] for name in names if name in attributes]
            if is_installed(file_of(base)):
                found = list(filter(is_code, found))
            elif kind and base not in self._classes:
                self._classes[base] = dict(attributes)
                held = (value for value in attributes.values() if issubclass(type(value), (*CONTAINERS, torch.Tensor)))
                found.extend(held)
            self._follow(found, kind, names)

    def _visit_object(self, value: Any, owner: type | None, names: tuple[str, ...]) -> None:
        if isinstance(value, torch.Tensor):
            self._visit_tensor(value)
        elif is_generator(value):
            self._drawn.append(generator_kept(value))
        elif isinstance(value, CONTAINERS):
            self._hold(value)
        elif isinstance(value, tuple | frozenset):
            self._follow(list(value)[:_MOST_ELEMENTS])
        elif isinstance(value, functools.partial):
            self._follow([value.func, *value.args, *value.keywords.values()])
        elif isinstance(value, types.MethodType):
            self._follow([value.__func__], type(value.__self__))
            self._follow([value.__self__])
        elif isinstance(value, staticmethod | classmethod | property | functools.cached_property | _CACHE):
            if isinstance(value, _CACHE):
                self._caches.append((value, value.cache_info().misses))
            self._follow([inner_of(value)], owner)
        elif isinstance(value, nn.Module) or not is_opaque(type(value).__module__):
            if isinstance(getattr(value, "__dict__", None), dict):
                self._hold(value.__dict__)
            self._visit_namespace(type(value), (*names, *_SPECIAL))

    def _hold(self, container: Any) -> None:
        self.containers.append(container)
        self._contents.append(saved(container))
        content = self._contents[-1]
        self._follow(islice(content.values() if isinstance(content, dict) else content, _MOST_ELEMENTS))

    def _visit_tensor(self, tensor: torch.Tensor) -> None:
        plain = type(tensor) is torch.Tensor and tensor.layout is torch.strided and not tensor.is_inference()
        if plain and not tensor.is_meta and tensor.numel() <= _LARGEST_COPY:
            self._tensors.append((tensor, tensor.detach().clone()))


def is_code(value: Any) -> bool:
    """Whether a value leads to code: in installed packages only that is followed, since their globals are registries."""
    kinds = (types.FunctionType, types.MethodType, type, types.ModuleType, functools.partial, _CACHE)
    return issubclass(type(value), kinds)


@lru_cache(maxsize=8192)
def is_opaque(module: str | None) -> bool:
    """Whether code of a module leads nowhere that a model could leave something."""
    return (module or "").partition(".")[0] in _OPAQUE


@lru_cache(maxsize=8192)
def names_in(code: types.CodeType) -> tuple[str, ...]:
    """The globals and attributes that a function names, and those of the functions inside it."""
    inner = (name for part in code.co_consts if isinstance(part, types.CodeType) for name in names_in(part))
    return tuple(dict.fromkeys((*code.co_names, *inner)))


@lru_cache(maxsize=8192)
def assigned_in(code: types.CodeType) -> tuple[str, ...]:
    """The globals that a function, or one inside it, assigns to."""
    inner = {name for part in code.co_consts if isinstance(part, types.CodeType) for name in assigned_in(part)}
    if _STORES.isdisjoint(code.co_code[::2]):  # disassembling is slow
        return tuple(inner)
    return tuple(inner.union(str(step.argval) for step in dis.get_instructions(code) if step.opcode in _STORES))


def inner_of(wrapper: Any) -> Any:
    """The function that a method, property or cache calls."""
    return next(
        inner for name in ("fget", "func", "__wrapped__", "__func__") if (inner := getattr(wrapper, name, None)) is not None
    )


def file_of(namespace: Any) -> str:
    """The file of a module, or of the module that a class was defined in; "" if there is none."""
    module = sys.modules.get(namespace.__module__) if isinstance(namespace, type) else namespace
    return getattr(module, "__file__", None) or ""


def content_of(cell: types.CellType) -> Any:
    """What a closure holds there; `_MISSING` before it is assigned."""
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def restore_class(kind: type, attributes: dict[str, Any]) -> None:
    """Put back the attributes of a class that code has set or deleted."""
    now = dict(vars(kind))
    for name in now.keys() - attributes.keys():
        if not name.startswith("__"):
            type.__delattr__(kind, name)
    for name, value in attributes.items():
        if now.get(name, _MISSING) is not value and not name.startswith("__"):
            type.__setattr__(kind, name, value)
