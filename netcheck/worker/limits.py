"""What a check may use of the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

SHARE = 0.8  # of the machine's memory, for all children together
CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int:
    """The bytes of memory that this machine or container has."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 * 2**30
    for path in CGROUP_FILES:
        try:
            with open(path) as file:
                found = min(found, int(file.read()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return found


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that checking one target may take.

    Attributes:
        seconds: wall-clock time, from the import of its file to its report.
        memory: bytes resident in the child and what it started.
    """

    seconds: float = 120.0
    memory: int = field(default_factory=lambda: int(SHARE * machine_memory()))
