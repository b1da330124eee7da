"""Run a model with other tensors in the place of its own, and leave it, and what its code can reach, as it was.

    with substituted(model, convert) as census:      every parameter, buffer and tensor attribute p is now convert(p)
        model(x)                                     forward may assign attributes, append to lists, draw random numbers ...
                                                     ... and all of that is undone here, also after an exception

The search for inputs and the tracer convert to fake tensors, the probe to copies on its device. Nothing is deep-copied: what
is saved are the references that the model's objects hold, so a model larger than memory costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from netcheck.load.contents import builtin_of, is_array, put, restore, saved
from netcheck.load.keeping import finished
from netcheck.load.randomness import generator_kept, is_generator
from netcheck.load.surroundings import Surroundings
from netcheck.load.untouched import untouched
from netcheck.torch_versions import captured, forward_of

_COMMON_ATOMS = frozenset((bool, int, float, str, type(None)))  # most of what a module's __dict__ holds
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, torch.dtype, torch.device, torch.Size)
_PLAIN_CONTAINERS = frozenset((dict, OrderedDict, list, set))
_OPAQUE_PACKAGES = ("torch", "numpy", "builtins", "collections", "functools", "threading", "logging", "abc", "enum", "re")


@dataclass
class Census:
    """Everything that a model holds, registered or not.

    Attributes:
        modules: id of a module -> (module, its qualified names; the first is the one to show).
        tensors: id of a tensor that forward will meet -> (the user's own tensor, its qualified names).
            Inside `substituted` the ids are those of the converted tensors.
        converted: the tensors that take their place, inside `substituted`.
        unregistered_modules: names of modules that PyTorch does not know of (kept in a plain list, dict or object).
        unregistered_tensors: names of tensors that are neither parameter nor buffer.
    """

    modules: dict[int, tuple[nn.Module, list[str]]] = field(default_factory=dict)
    registered: set[int] = field(default_factory=set)  # ids of the modules that PyTorch knows of
    tensors: dict[int, tuple[torch.Tensor, list[str]]] = field(default_factory=dict)
    converted: list[torch.Tensor] = field(default_factory=list)
    unregistered_modules: list[str] = field(default_factory=list)
    unregistered_tensors: list[str] = field(default_factory=list)
    walked: set[int] = field(default_factory=set)  # ids of every object that was looked into
    holders: list[Any] = field(default_factory=list)  # every dict, list, set and deque that holds something
    empties: list[Any] = field(default_factory=list)  # those that hold nothing yet: most hooks of most modules
    filled: list[Any] = field(default_factory=list)  # the holders with tensors in them, or in their tuples
    generators: list[Any] = field(default_factory=list)  # of random numbers, which forward draws from
    surroundings: Surroundings = field(default_factory=Surroundings)  # what the code can reach besides, inside `substituted`


def take_census(root: nn.Module) -> Census:
    """Walk everything that `root` holds: registered children first (they give the names), then plain attributes."""
    census = Census()
    for name, module in root.named_modules(remove_duplicate=False):
        census.modules.setdefault(id(module), (module, []))[1].append(name)
        if not isinstance(module, torch.jit.ScriptModule):
            for key, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None:
                    census.tensors.setdefault(id(tensor), (tensor, []))[1].append(join(name, key))
    census.registered = set(census.modules)
    for module, names in list(census.modules.values()):
        _visit(module, names[0], census)
    return census


def join(*parts: str) -> str:
    """Join the non-empty parts of a qualified name."""
    return ".".join(part for part in parts if part)


def _visit(start: Any, name: str, census: Census) -> None:
    """Add `start` and all that it holds to the census. Iterative: models nest deeper than Python's stack."""
    pending = [(start, name)]
    while pending:
        value, name = pending.pop()
        if isinstance(value, _ATOMS):
            continue
        if isinstance(value, torch.Tensor):
            if id(value) not in census.tensors:
                census.tensors[id(value)] = (value, [name])
                census.unregistered_tensors.append(name)
            continue
        if id(value) in census.walked:
            continue
        census.walked.add(id(value))
        if is_generator(value):
            census.generators.append(value)
        elif isinstance(value, nn.Module):
            pending += reversed(_module_children(value, name, census))
        else:
            pending += reversed(_plain_children(value, name, census))


def _module_children(module: nn.Module, name: str, census: Census) -> list[tuple[Any, str]]:
    name = census.modules.setdefault(id(module), (module, [name]))[1][0]  # a registered one may be met in a list first
    registered = id(module) in census.registered
    if not registered:
        census.unregistered_modules.append(name)
    if isinstance(module, torch.jit.ScriptModule):
        return []
    for holder in (module._parameters, module._buffers, module._modules):
        _hold(holder, holder.values(), census)
    children: list[tuple[Any, str]] = [(child, join(name, key)) for key, child in module._modules.items() if child is not None]
    if not registered:
        children += [(t, join(name, key)) for key, t in module._parameters.items() if t is not None]
        children += [(t, join(name, key)) for key, t in module._buffers.items() if t is not None]
    attributes = []
    for key, value in module.__dict__.items():
        if type(value) in _COMMON_ATOMS or key in ("_parameters", "_buffers", "_modules"):
            continue
        if type(value) in _PLAIN_CONTAINERS and not value:
            census.empties.append(value)
        else:
            attributes.append((value, join(name, key)))
    _hold(module.__dict__, (value for value, _ in attributes), census)
    return children + attributes


def _hold(holder: Any, items: Iterable[Any], census: Census) -> None:
    """Note a container whose content may change; `items` are those of its values that may be or hold tensors."""
    if not holder:
        census.empties.append(holder)
        return
    census.holders.append(holder)
    if any(isinstance(item, (tuple, torch.Tensor)) for item in items):
        census.filled.append(holder)


def _plain_children(value: Any, name: str, census: Census) -> list[tuple[Any, str]]:
    if isinstance(value, tuple):
        return [(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if is_array(value):
        census.holders.append(value)
        return []
    if isinstance(value, dict):
        _hold(value, value.values(), census)
        return [(item, f"{name}[{key!r}]") for key, item in value.items()]
    if isinstance(value, list | deque):
        _hold(value, value, census)
        return [(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, set):
        _hold(value, (), census)
        return []
    attributes = getattr(value, "__dict__", None)
    package = type(value).__module__.partition(".")[0]
    if not isinstance(attributes, dict) or package in _OPAQUE_PACKAGES or callable(value):
        return []
    _hold(attributes, attributes.values(), census)
    return [(item, join(name, key)) for key, item in attributes.items() if isinstance(key, str)]


@contextmanager
def substituted(root: nn.Module, convert: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[Census]:
    """Put `convert(tensor)` in the place of every tensor that `root` holds; undo that, and all that forward changed, on exit.

    Yields:
        The census; its `tensors` are keyed by the ids of the converted tensors, so that the recorder knows them.

    Raises:
        Whatever `convert` raises, before anything was changed.
    """
    with untouched(), swapped(take_census(root), convert) as census:
        yield census


@contextmanager
def swapped(census: Census, convert: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[Census]:
    """`substituted` for a census that was taken before, once for many runs; what belongs to the process is the caller's."""
    converted = {key: convert(tensor) for key, (tensor, _) in census.tensors.items()}
    contents = [saved(holder) for holder in census.holders]
    modules = [module for module, _ in census.modules.values()]
    kinds = [(module, type(module)) for module in modules if isinstance(module, LazyModuleMixin)]
    drawn = [generator_kept(generator) for generator in census.generators]
    run = replace(
        census,
        modules=dict(census.modules),  # a recorder adds those that it meets
        tensors={id(converted[key]): entry for key, entry in census.tensors.items()},
        converted=list(converted.values()),
        surroundings=surroundings_of(census),
    )

    def put_back() -> None:
        for module, kind in kinds:
            if type(module) is not kind:
                module.__class__ = kind  # a lazy module becomes another class when it first runs
        for holder, content in zip(census.holders, contents, strict=True):
            restore(holder, content)
        for holder in filter(None, census.empties):
            holder.clear()
        run.converted = []

    try:
        for module in modules:
            _uncapture(module)
        for holder in census.filled:
            _swap(holder, converted)
        yield run
    finally:
        finished([put_back, run.surroundings.restore, *drawn])


def surroundings_of(census: Census) -> Surroundings:
    """What the code of the modules of a census can reach besides."""
    modules = (module for module, _ in census.modules.values())
    return Surroundings(modules, known=census.walked.union(census.tensors, map(id, census.holders)))


@contextmanager
def changing_only_itself(root: nn.Module) -> Iterator[None]:
    """Run a copy of a model: what its code can reach besides is left as it was, and so is what belongs to the process."""
    surroundings = surroundings_of(take_census(root))
    with untouched():
        try:
            yield
        finally:
            finished([surroundings.restore])


def _uncapture(module: nn.Module) -> None:
    """Give a module back the forward that a CUDA graph, which computes with other tensors, has taken the place of."""
    forward = captured(module)
    if forward is None:
        return
    if getattr(forward, "__func__", None) is forward_of(type(module)):
        del module.__dict__["forward"]
    else:
        module.__dict__["forward"] = forward


def _swap(holder: Any, converted: dict[int, torch.Tensor]) -> None:
    """Replace the tensors that `holder` holds directly, or inside tuples."""
    items = dict.items(holder) if isinstance(holder, dict) else enumerate(builtin_of(holder).__iter__(holder))
    for key, value in list(items):
        if isinstance(value, torch.Tensor) and id(value) in converted:
            put(holder, key, converted[id(value)])
        elif type(value) is tuple and any(id(item) in converted for item in value):
            put(holder, key, tuple(converted.get(id(item), item) for item in value))
