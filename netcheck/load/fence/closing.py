"""Closing the fence and opening it again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from netcheck.load.fence import actions, files, hook, kernel, stand_ins
from netcheck.load.fence.patches import patched
from netcheck.load.fence.places import cache_folders, existing
from netcheck.load.fence.state import state

HOMES = {".cache": ("XDG_CACHE_HOME",), ".triton": ("TRITON_CACHE_DIR",)}
FREE = ("/dev", "/proc")  # for the kernel: devices, shared memory, names of threads


@contextmanager
def closed(*, writes: bool = False, everybody: bool = False) -> Iterator[None]:
    """Close the fence around user code; inside another one nothing changes.

    Args:
        writes: whether files, processes, sockets and training are allowed: then there is no fence.
        everybody: for all threads of this process, and not for this one alone.
    """
    if state.closed:
        yield
        return
    from netcheck.load.fence import checkpoints, training

    state.notes.clear()
    state.unbound.clear()
    state.without_weights = False
    if writes:
        yield
        return
    state.refusals.clear()
    state.last = None
    state.thread = None if everybody else threading.get_ident()
    cache_folders()  # as the environment is now
    with ExitStack() as stack:
        stack.callback(stand_ins.discard)
        guards = [*files.patches(), *actions.patches(), *training.patches(), *checkpoints.patches()]
        stack.enter_context(patched(guards))
        stack.enter_context(training.untrained())
        state.closed += 1
        try:
            yield
        finally:
            state.closed -= 1


@contextmanager
def building() -> Iterator[None]:
    """While a file is imported or a model is built: nothing may be trained either, and netcheck itself does nothing."""
    state.building += 1
    try:
        yield
    finally:
        state.building -= 1


def close_for_good(scratch: str, *, alone: bool) -> None:
    """For a process of netcheck's own, before it is closed around a check: add what cannot be taken back.

    Args:
        scratch: the folder in which everything may be written.
        alone: whether the process ends with this check.
    """
    state.scratch = os.path.realpath(scratch)
    hook.install()
    if alone:
        keep_caches_in(state.scratch)
        state.kernel = kernel.allow_only([*FREE, *existing((state.scratch, *cache_folders()))])


def keep_caches_in(folder: str) -> None:
    """Have libraries whose folder for caches is not there yet keep them elsewhere: the kernel lets nobody make one at home."""
    for name, variables in HOMES.items():
        if not os.path.isdir(os.path.expanduser(os.path.join("~", name))):
            for variable in variables:
                os.environ.setdefault(variable, os.path.join(folder, name))
