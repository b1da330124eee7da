"""Read something before other code runs, and put it back afterwards.

    with kept([setting(torch.get_default_dtype, torch.set_default_dtype), contents(lambda: sys.path), ...]):
        model(x)

Each of these is a `Keep`: called, it reads what it is for, and gives what puts that back. What has not changed is not written:
many a setter has effects of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from netcheck.load.contents import restore, saved

PutBack = Callable[[], object]
Keep = Callable[[], PutBack]


@contextmanager
def kept(keeps: Iterable[Keep]) -> Iterator[None]:
    """Run a block, and leave what `keeps` are for as it was, whatever ends the block."""
    put_back = [keep() for keep in keeps]
    try:
        yield
    finally:
        finished(put_back)


def finished(actions: Iterable[PutBack]) -> None:
    """Run all of these, which may be run twice: one that Ctrl-C came into is begun anew, and the rest still runs.

    Raises:
        KeyboardInterrupt: it came.
        Exception: the first that an action raised.
    """
    failed: BaseException | None = None
    for action in actions:
        try:
            action()
        except KeyboardInterrupt as interrupted:
            failed = interrupted
            action()
        except Exception as error:
            failed = failed or error
    if failed is not None:
        raise failed


def setting(get: Callable[[], Any], put: Callable[[Any], object], same: Callable[[Any, Any], bool] = operator.eq) -> Keep:
    """Something with a function that reads it and one that sets it."""

    def keep() -> PutBack:
        before = get()
        return lambda: None if same(get(), before) else put(before)

    return keep


def always(get: Callable[[], Any], put: Callable[[Any], object]) -> Keep:
    """The same for what is cheaper to set than to compare."""

    def keep() -> PutBack:
        before = get()
        return lambda: put(before)

    return keep


def attributes(owner: Any, *names: str) -> Iterator[Keep]:
    """The attributes of a module or an object: whatever they hold, the very same again."""
    for name in names:
        yield setting(partial(getattr, owner, name), partial(setattr, owner, name), operator.is_)


def contents(get: Callable[[], Any]) -> Keep:
    """What a list, set or dict holds."""

    def keep() -> PutBack:
        holder = get()
        before = saved(holder)
        return lambda: restore(holder, before)

    return keep
