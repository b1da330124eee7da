"""Which files a check may depend on, and when each was saved last: what is looked at to see that something changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from netcheck.source.walk import is_left_out

ENDINGS = (".py", ".ipynb", ".toml", ".yaml", ".yml", ".json")
MOST = 4000  # files that are looked at

Stamp = tuple[int, int]  # nanoseconds, bytes


def stamps(targets: Iterable[str]) -> dict[str, Stamp]:
    """When the files beside and below some targets were saved, and their sizes."""
    found: dict[str, Stamp] = {}
    for folder in dict.fromkeys(map(folder_of, targets)):
        for file in files_below(folder):
            if len(found) >= MOST:
                return found
            try:
                status = os.stat(file)
            except OSError:
                continue  # gone since
            found[file] = status.st_mtime_ns, status.st_size
    return found


def folder_of(target: str) -> str:
    """The folder in which a target's files lie; of a module the current one."""
    path = target if os.path.exists(target) else target.rpartition(":")[0]
    if os.path.isdir(path):
        return path
    return os.path.dirname(path) or os.curdir if os.path.isfile(path) else os.curdir


def files_below(folder: str) -> Iterator[str]:
    """The files that may matter, without those of environments and hidden folders."""
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_left_out(top, name))
        yield from (os.path.join(top, name) for name in sorted(files) if name.endswith(ENDINGS))
