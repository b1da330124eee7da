"""What a check is doing right now, for whoever watches. Imports no torch.

with phase-making code:     progress.phase("probe")
with a watcher:             progress.watch(print)
"""

from __future__ import annotations

from collections.abc import Callable

watchers: list[Callable[[str], None]] = []


def phase(name: str) -> None:
    """Say that a phase begins: "load", "inputs", "trace", "judge", "probe"."""
    for watcher in watchers:
        watcher(name)


def watch(watcher: Callable[[str], None]) -> None:
    """Call `watcher` with the name of each phase from now on."""
    watchers.append(watcher)
