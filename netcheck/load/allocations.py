"""A bound on what may be allocated, so that what goes wild fails by itself, at its line, and does not end the process.

with bounded(2**32):            RuntimeError: DefaultCPUAllocator: can't allocate memory
    encoder_out[order]          order has another shape than was meant: 18 GiB

Only private writable memory counts, so what torch maps of its libraries does not. Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

TABLE = "/proc/self/statm"  # of Linux; in pages: the sixth is data and stack
DRIVERS = ("/dev/nvidiactl", "/dev/kfd")  # they reserve far more memory than they use, which would count


def limit(size: int) -> None:
    """Have allocations fail with which this process would hold `size` bytes more than it does, if the system can do that."""
    held = data_held()
    if held is not None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (held + size, resource.RLIM_INFINITY))


def lift() -> None:
    """Have no allocation fail any longer."""
    if resource is not None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def bounded(size: int) -> Iterator[None]:
    """The same for a while; a limit that is lower stays. For processes of netcheck's own: other threads are bounded, too."""
    held = data_held()
    if held is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    lowest = min(one for one in (held + size, soft, hard) if one != resource.RLIM_INFINITY)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (lowest, hard))
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def data_held() -> int | None:
    """How many bytes of its own this process holds; None where that is not told, or does not count."""
    if resource is None or any(map(os.path.exists, DRIVERS)):
        return None
    try:
        with open(TABLE, "rb") as table:
            return int(table.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
