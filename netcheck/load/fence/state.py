"""Whether the fence is closed, for whom, and what was met at it. Imports no torch."""

from __future__ import annotations

import errno
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from netcheck.findings import LeftOut, Location
from netcheck.load.raised import describe, user_line
from netcheck.source.spots import spot, spot_in

DENIED = re.compile(r"permission denied|operation not permitted", re.IGNORECASE)
PATIENCE = 100  # refusals at one line until one is raised that `except Exception` does not catch


class Refused(PermissionError):
    """What user code asked for is not let happen. A PermissionError, so that libraries do what they do without it."""

    def __str__(self) -> str:
        """The sentence alone."""
        return str(self.strerror)


class Halted(BaseException):
    """The same, where nothing may go on as if it had happened. Not an Exception: a training loop must not catch it."""


NEEDS = re.compile(r"needs (\w+), which was left out")


@dataclass
class State:
    """The fence of this process.

    Attributes:
        closed: how many `closed()` are open around this place.
        thread: the thread that it holds for; None for all.
        building: how many `building()` are open.
        scratch: a folder in which everything may be written, "" for none.
        notes: what was met.
        last: what was met last, whether or not it was noted before.
        met: how often something was met.
        unbound: what would have bound a name of a file, where that was left out.
        refusals: how often something was refused at a place.
        without_weights: whether a model was built without weights that are not there.
        kernel: whether the kernel refuses writes, too.
        exempt: threads in which the fence itself is at work.
    """

    closed: int = 0
    thread: int | None = None
    building: int = 0
    scratch: str = ""
    notes: dict[tuple[str, int, str], LeftOut] = field(default_factory=dict)
    last: LeftOut | None = None
    met: int = 0
    unbound: dict[tuple[str, str], LeftOut] = field(default_factory=dict)
    refusals: Counter[tuple[str, int]] = field(default_factory=Counter)
    without_weights: bool = False
    kernel: bool = False
    exempt: set[int] = field(default_factory=set)

    def holds(self) -> bool:
        """Whether the fence is closed for the thread that asks."""
        if not self.closed:
            return False
        here = threading.get_ident()
        return self.thread in (None, here) and here not in self.exempt


state = State()


@contextmanager
def opened() -> Iterator[None]:
    """Let this thread do everything meanwhile: for the fence's own files."""
    here = threading.get_ident()
    inner = here in state.exempt
    state.exempt.add(here)
    try:
        yield
    finally:
        if not inner:
            state.exempt.discard(here)


def note(file: str, line: int, reason: str, *, trains: bool = False) -> None:
    """Note a line; of several reasons with the same first word at one line the first is kept."""
    state.last = LeftOut(file, line, reason, trains)
    known = state.notes.get(key_of(state.last))
    if known is None or (trains and not known.trains):
        state.notes[key_of(state.last)] = state.last


def left_out(file: str, line: int, reason: str, names: Iterable[str], *, trains: bool = False) -> None:
    """Note a statement that is not run, and the names that it would have bound, unless one before it would have."""
    note(file, line, reason, trains=trains)
    for name in names:
        state.unbound.setdefault((file, name), LeftOut(file, line, reason, trains))


def unbound_by(error: BaseException) -> LeftOut | None:
    """The statement that was left out and would have bound the name that an exception misses."""
    from netcheck.load.raised import user_line

    for one in chain(error):
        if isinstance(one, ImportError):
            name = str(one).partition("cannot import name '")[2].partition("'")[0]
            found = state.unbound.get((one.path or "", name))
        else:
            place = user_line(one) if isinstance(one, NameError) else None
            found = state.unbound.get((place.file, getattr(one, "name", ""))) if place else None
        if found is not None:
            return found
    return None


def first_cause(one: LeftOut) -> LeftOut:
    """The statement for which another was left out in the end: of one that needs what another would have bound, that one."""
    passed: set[str] = set()
    while (match := NEEDS.fullmatch(one.reason)) and match[1] not in passed:
        passed.add(match[1])
        one = state.unbound.get((one.file, match[1]), one)
    return one


def key_of(one: LeftOut) -> tuple[str, int, str]:
    """What is noted once."""
    return one.file, one.line, one.reason.partition(" ")[0].rstrip(":,")


def notes() -> list[LeftOut]:
    """What was noted so far, in the order in which it was met."""
    return list(state.notes.values())


def forget(which: Callable[[LeftOut], bool]) -> None:
    """Take back some of what was noted: it is tried once more."""
    for key, note in list(state.notes.items()):
        if which(note):
            del state.notes[key]


def told(path: str, line: int) -> str:
    """Why the statement at a line is left out: it met the fence, there or in what it calls. That is noted last.

    What trains is then noted for the statement alone.
    """
    last = state.last
    assert last is not None, "a refusal is noted"
    here = last.line == line and last.file == path
    where = spot(path, last.line) if last.file == path else spot_in(last.file, last.line)
    if not last.trains:
        return last.reason if here else f"stopped at {where}"
    if here or not last.reason.startswith("trains: "):
        return last.reason
    state.notes.pop(key_of(last), None)
    return f"{last.reason}, at {where}"


def refused_place() -> Location | None:
    """The line that was noted last."""
    last = state.last
    return Location(last.file, last.line) if last is not None and last.file else None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it was raised from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def excuse(error: BaseException) -> Refused | Halted | None:
    """The refusal that an exception comes from, if it comes from one."""
    refusals = (one for one in chain(error) if isinstance(one, Refused | Halted))
    return next(refusals, None) or (denied(error) if state.kernel else None)


def denied(error: BaseException) -> Refused | None:
    """The same for what the kernel refused to compiled code, which nobody has noted yet."""
    denial = next((one for one in chain(error) if isinstance(one, Exception) and DENIED.search(describe(one))), None)
    if denial is None:
        return None
    if place := user_line(error):
        note(place.file, place.line, f"raised {describe(denial)}")
    return Refused(errno.EACCES, f"netcheck lets the code that it checks write no files: {describe(denial)}")
