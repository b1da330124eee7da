"""What a check is doing right now, for whoever watches. Imports no torch.

with phase-making code:     progress.phase("probe")
with a watcher:             progress.watch(print)

A report that is not finished yet, but would stand if the check ended now, is `known`; one of several that is, `finished`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netcheck.findings import Report

watchers: list[Callable[[str], None]] = []
keepers: list[Callable[[Report], None]] = []
readers: list[Callable[[Report, int], None]] = []


def phase(name: str) -> None:
    """Say that a phase begins: "load", "inputs", "trace", "judge", "probe"."""
    for watcher in watchers:
        watcher(name)


def watch(watcher: Callable[[str], None]) -> None:
    """Call `watcher` with the name of each phase from now on."""
    watchers.append(watcher)


def known(report: Callable[[], Report]) -> None:
    """Say what is known of the model so far; `report` is made if anybody keeps it."""
    if keepers:
        made = report()
        for keeper in keepers:
            keeper(made)


def finished(report: Report, total: int) -> None:
    """Say that a model of `total` is checked, and that all before it are."""
    for reader in readers:
        reader(report, total)


@contextmanager
def reading(reader: Callable[[Report, int], None]) -> Iterator[None]:
    """Call `reader` with each report that is finished in this context."""
    readers.append(reader)
    try:
        yield
    finally:
        readers.remove(reader)
