"""Files that take the place of those that user code would write: what it writes it can read again, and it is thrown away.

open("log.txt", "w")    /tmp/netcheck-x1/stand-in-0
open("log.txt")         the same file
open("data.bin", "r+")  a copy of data.bin
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import tempfile

from netcheck.load.fence.state import Refused, opened, state

MOST_COPIED = 2**30  # bytes of a file that is changed in place

folder: list[str] = []  # where they lie, once there is one
files: dict[str, str] = {}  # the user's path -> the stand-in's
numbers = itertools.count()
folders: set[str] = set()  # that user code believes it made


def stand_in(path: str, *, keeps: bool) -> str:
    """The file to write in the place of `path`.

    Args:
        path: the user's, resolved.
        keeps: whether what the file holds now is wanted as well.

    Raises:
        Refused: that is too much to copy.
    """
    if path in files:
        return files[path]
    if keeps and os.path.isfile(path) and os.path.getsize(path) > MOST_COPIED:
        raise Refused(errno.EACCES, "netcheck lets no file be changed, and this one is too large to copy", path)
    with opened():
        found = files[path] = os.path.join(own_folder(), f"stand-in-{next(numbers)}")
        if keeps and os.path.isfile(path):
            shutil.copyfile(path, found)
    return found


def own_folder() -> str:
    """The folder of the stand-ins: in the one that netcheck made for the check, else in one that is made now."""
    if not folder or not os.path.isdir(folder[0]):
        folder[:] = [tempfile.mkdtemp(prefix="netcheck-", dir=state.scratch or None)]
    return folder[0]


def is_known(path: str) -> bool:
    """Whether user code believes that it has made this file or folder."""
    return path in files or path in folders


def forget(path: str) -> None:
    """User code believes that it has removed a file or folder."""
    files.pop(path, None)
    folders.discard(path)


def discard() -> None:
    """Throw everything away."""
    if folder:
        with opened():
            shutil.rmtree(folder[0], ignore_errors=True)
    folder.clear()
    files.clear()
    folders.clear()
