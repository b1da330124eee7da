"""torch's compiler, which is nearly half of all that torch imports, and which hardly any check needs.

    put_off()       has `import torch._dynamo` give a stand-in, in a process of netcheck's own
    load()          the real one, in the place of the stand-in if there is one
    follow()        the same, if a child of this process needed it
    eager()         no torch.compile meanwhile, whenever the compiler comes

The first `FakeTensorMode` imports it to read two settings, the first operation on fakes to exempt a function of torch's own from
compilation, and the first real tensor among fakes to name where that came from, should its shape turn out to be symbolic (none of
netcheck's is). The stand-ins answer all three. Whatever else is asked of them, by a model or by torch, brings the compiler.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from mmap import mmap
from types import ModuleType
from typing import Any

import torch

from netcheck.torch_versions import unset_fake_temporarily, without_torch_function

NAME = "torch._dynamo"
_ATTRIBUTE = NAME.rpartition(".")[2]  # of torch
SETTINGS, SOURCES = f"{NAME}.config", f"{NAME}.source"
STANCES, _STANCE = f"{NAME}.eval_frame", "_stance"


def loaded() -> bool:
    """Whether torch's compiler itself has been imported, which costs over a second of CPU time."""
    return STANCES in sys.modules


def load() -> None:
    """Import it, so that processes forked from this one need not. A torch whose compiler does not import goes without."""
    if loaded():
        return
    stood_in = {name: module for name in (NAME, SOURCES) if isinstance(module := sys.modules.get(name), StandIn)}
    for name in stood_in:
        del sys.modules[name]
    vars(torch).pop(_ATTRIBUTE, None)  # parts of the compiler ask for it by this name while they are imported
    try:
        with unset_fake_temporarily(), without_torch_function():  # it may be a forward on fakes that asks
            importlib.import_module(NAME)
    except ImportError:
        sys.modules.update(stood_in)
        if NAME in stood_in:
            setattr(torch, _ATTRIBUTE, stood_in[NAME])
        return
    _needed[0] = True
    if _eager:
        torch.compiler.set_stance("force_eager")


_needed = mmap(-1, 1)  # whether anybody needed it, here or in a process forked from this one: they share this byte


def follow() -> None:
    """Import it if a process forked from this one had to: so will the next."""
    if _needed[0]:
        load()


def put_off() -> None:
    """Have what imports the compiler get a stand-in, until something of it is needed.

    Only for processes of netcheck's own: a user's would keep what torch made of the stand-in's answers.
    """
    if NAME in sys.modules:
        return
    spec = PathFinder.find_spec(NAME, torch.__path__)
    settings = spec and PathFinder.find_spec(SETTINGS, spec.submodule_search_locations)
    if not (spec and settings and settings.loader):
        return  # a torch built without it
    sys.modules[SETTINGS] = module = module_from_spec(settings)
    settings.loader.exec_module(module)
    sys.modules[SOURCES] = sources = Sources(SOURCES)
    sys.modules[NAME] = stand_in = Compiler(NAME)
    stand_in.__spec__, stand_in.config, stand_in.source = spec, module, sources
    setattr(torch, _ATTRIBUTE, stand_in)
    sys.meta_path.insert(0, Parts())


def real(module: str, name: str) -> Any:
    """What the compiler's own module has under a name.

    Raises:
        AttributeError: it has nothing there, or does not import.
    """
    load()
    found = sys.modules[module]
    if isinstance(found, StandIn):
        raise AttributeError(f"{module} cannot be imported here, nor {name} of it")
    return getattr(found, name)


class StandIn(ModuleType):
    """A module in the place of the one of its name, which is imported when it is asked for more than it has."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and not (name == "__path__" and self.__spec__):  # asked of every module that is imported from
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return real(self.__name__, name)


class Later:
    """A class of the compiler's that torch asks for before it knows whether it needs one: making one brings the compiler."""

    def __new__(cls, *args: Any) -> Any:
        """What the compiler's own class of this name makes."""
        return real(SOURCES, cls.__name__)(*args)


class Sources(StandIn):
    """What `import torch._dynamo.source` gives meanwhile: no package, and so without a spec."""

    class ConstantSource:
        """A tensor that nobody named."""

        def __init__(self, source_name: str):
            self.source_name = source_name

    class RandomValueSource(Later):
        """A number that a compiled function draws."""

    class CallMethodItemSource(Later):
        """The number in a tensor, looked for where 2.14 keeps it."""

    class FloatTensorSource(Later):
        """A tensor that was made of a number."""


class Compiler(StandIn):
    """What `import torch._dynamo` gives meanwhile: its settings, and the one function that torch calls without compiling."""

    config: ModuleType
    source: ModuleType

    def disable(self, fn: Any = None, recursive: bool = True, **options: Any) -> Any:
        """`torch._dynamo.disable`. Torch exempts a function of its own without wrapping it: it runs as it is, until there is a
        compiler that it is to be exempt from.
        """
        if fn is None or options.get("wrapping", True):
            return real(NAME, "disable")(fn, recursive, **options)

        run = fn

        def exempt(*args: Any, **kwargs: Any) -> Any:
            nonlocal run
            if run is fn and loaded():
                run = real(NAME, "disable")(fn, recursive, **options)
            return run(*args, **kwargs)

        return exempt


class Parts(MetaPathFinder):
    """Finds what the compiler brought with it when a part of it was imported: `import torch._dynamo.utils` asks the stand-in for
    its folder, and looks for the part after all of them have come.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a part that is there already."""
        known = sys.modules.get(name) if name.startswith(f"{NAME}.") and target is None else None
        return None if known is None else ModuleSpec(name, Known(known))


class Known(Loader):
    """Gives a module that has been imported, as it is."""

    def __init__(self, module: ModuleType):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it ran when it was imported."""
        module.__spec__ = self.spec


_eager: list[bool] = []  # one for each block under `eager`


@contextmanager
def eager() -> Iterator[None]:
    """Switch torch.compile off, if anything has switched it on or does so meanwhile."""
    before = stance()
    _eager.append(True)
    try:
        if loaded():
            torch.compiler.set_stance("force_eager")
        yield
    finally:
        _eager.pop()
        if before is not None:
            set_stance(before)
        elif loaded():
            torch.compiler.set_stance("default")


def stance() -> Any:
    """What torch.compile is told to do; None before it is imported."""
    return getattr(sys.modules[STANCES], _STANCE) if loaded() else None


def set_stance(before: Any) -> None:
    """Put back what `stance` gave."""
    if loaded() and before is not None:
        setattr(sys.modules[STANCES], _STANCE, before)
