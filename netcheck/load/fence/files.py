"""Opening for writing, and all that changes folders: answered as if it had happened. Imports no torch.

open("log.txt", "w")        a stand-in, which `open("log.txt")` reads again
os.mkdir("runs")            nothing; FileExistsError if the folder is there
os.remove("old.pt")         nothing; FileNotFoundError if there is no such file
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import sqlite3
from typing import Any

from netcheck.load.fence import stand_ins
from netcheck.load.fence.askers import asker
from netcheck.load.fence.patches import Answer, Patch
from netcheck.load.fence.places import may_write, resolved, shown

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TEMPORARY = getattr(os, "O_TMPFILE", 0)

# What changes a file or folder that must be there: what it does, in a word.
CHANGES = {
    "remove": "deletes", "unlink": "deletes", "rmdir": "deletes", "truncate": "cuts", "chmod": "changes", "lchmod": "changes",
    "chown": "changes", "lchown": "changes", "chflags": "changes", "utime": "changes", "setxattr": "changes",
    "removexattr": "changes",
}  # fmt: skip
REMOVES = frozenset(("remove", "unlink", "rmdir"))
# What makes a file that must not be there; the path is the argument of that number.
MAKES = {"mkdir": 0, "mkfifo": 0, "mknod": 0, "link": 1, "symlink": 1}


def patches() -> list[Patch]:
    """All of them."""
    return [
        *(Patch(owner, "open", open_file) for owner in (builtins, io)),
        Patch(os, "open", open_descriptor),
        *(Patch(os, name, changing(name, verb)) for name, verb in CHANGES.items()),
        *(Patch(os, name, making(name, place)) for name, place in MAKES.items()),
        *(Patch(os, name, rename) for name in ("rename", "replace")),
        Patch(shutil, "rmtree", remove_tree),
        Patch(sqlite3, "connect", connect_database),
    ]


def open_file(original: Any, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    """`open`: for writing of a stand-in, for reading of the file, or of the stand-in that was written before."""
    if isinstance(file, int):
        return original(file, mode, *args, **kwargs)
    if not is_writing(mode):
        return original(read_again(file), mode, *args, **kwargs)
    path = resolved(file, follow=True)
    who = asker()
    if not path or may_write(path, who):
        return original(file, mode, *args, **kwargs)
    require(path, there="r" in mode, absent="x" in mode)
    require_folder(path)
    who.note(f"writes {shown(path)}")
    kwargs.pop("opener", None)
    place = stand_ins.stand_in(path, keeps="r" in mode or "a" in mode)
    return original(place, mode.replace("x", "w"), *args[:5], **kwargs)


def open_descriptor(original: Any, path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
    """`os.open`, in the same way."""
    if not flags & WRITING:
        plain = kwargs.get("dir_fd") is None
        return int(original(read_again(path) if plain else path, flags, *args, **kwargs))
    place = resolved(path, kwargs.get("dir_fd"), follow=not flags & getattr(os, "O_NOFOLLOW", 0))
    who = asker()
    if not place or may_write(place, who):
        return int(original(path, flags, *args, **kwargs))
    if TEMPORARY and flags & TEMPORARY == TEMPORARY:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), path)  # whoever asks knows another way
    exclusive = bool(flags & os.O_CREAT and flags & os.O_EXCL)
    require(place, there=not flags & os.O_CREAT, absent=exclusive)
    require_folder(place)
    who.note(f"writes {shown(place)}")
    kwargs.pop("dir_fd", None)
    return int(
        original(stand_ins.stand_in(place, keeps=not flags & os.O_TRUNC), (flags | os.O_CREAT) & ~os.O_EXCL, *args, **kwargs)
    )


def is_writing(mode: Any) -> bool:
    """Whether a mode of `open` may change the file."""
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


def read_again(file: Any) -> Any:
    """The file to read: a stand-in, where user code believes to have written one."""
    if not stand_ins.files:
        return file
    return stand_ins.files.get(resolved(file, follow=True), file)


def require(path: str, *, there: bool = False, absent: bool = False) -> None:
    """Raise what the system would; a file or folder that was not made may be made again, for `exists` does not see it."""
    exists = os.path.lexists(path)
    if there and not exists and not stand_ins.is_known(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if absent and exists:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


def require_folder(path: str) -> None:
    """Raise what the system would where there is no folder to write into, or a folder of that name."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    above = os.path.dirname(path)
    if not os.path.isdir(above) and above not in stand_ins.folders:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def changing(name: str, verb: str) -> Answer:
    """The answer of a function that changes or removes what is there."""

    def answer(original: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        place = resolved(path, kwargs.get("dir_fd"))
        who = asker()
        if not place or may_write(place, who):
            original(path, *args, **kwargs)
            return
        require(place, there=True)
        if not stand_ins.is_known(place):
            who.note(f"{verb} {shown(place)}")
        if name in REMOVES:
            stand_ins.forget(place)

    return answer


def making(name: str, number: int) -> Answer:
    """The answer of a function that makes a folder, a link or a pipe."""

    def answer(original: Any, *args: Any, **kwargs: Any) -> None:
        given = args[number] if number < len(args) else kwargs.get("dst", kwargs.get("path"))
        folder = kwargs.get("dir_fd", kwargs.get("dst_dir_fd"))
        place = resolved(given, folder)
        who = asker()
        if not place or may_write(place, who):
            original(*args, **kwargs)
            return
        require(place, absent=True)
        if name == "mkdir":
            require(os.path.dirname(place), there=True)
            stand_ins.folders.add(place)
        who.note(f"makes {shown(place)}")

    return answer


def rename(original: Any, src: Any, dst: Any, *args: Any, **kwargs: Any) -> None:
    """`os.rename` and `os.replace`: a stand-in moves, the user's files do not."""
    here, there = resolved(src, kwargs.get("src_dir_fd")), resolved(dst, kwargs.get("dst_dir_fd"))
    who = asker()
    if not here or not there or (may_write(here, who) and may_write(there, who)):
        original(src, dst, *args, **kwargs)
        return
    require(here, there=True)
    if here in stand_ins.files:
        stand_ins.files[there] = stand_ins.files.pop(here)
    elif may_write(here, who):
        place = stand_ins.stand_in(there, keeps=False)
        original(here, place)
    who.note(f"renames {shown(here)}" if not may_write(here, who) else f"writes {shown(there)}")


def remove_tree(original: Any, path: Any, *args: Any, **kwargs: Any) -> None:
    """`shutil.rmtree`: not file by file."""
    place = resolved(path, kwargs.get("dir_fd"))
    who = asker()
    if not place or may_write(place, who) or not os.path.lexists(place):
        original(path, *args, **kwargs)
        return
    who.note(f"deletes {shown(place)}")


def connect_database(original: Any, database: Any, *args: Any, **kwargs: Any) -> Any:
    """`sqlite3.connect`: a data base that is there is opened for reading, a new one lies in memory."""
    if kwargs.get("uri") or database in ("", ":memory:", b"", b":memory:"):
        return original(database, *args, **kwargs)
    place = resolved(database, follow=True)
    who = asker()
    if not place or may_write(place, who):
        return original(database, *args, **kwargs)
    if os.path.isfile(place):
        from urllib.parse import quote

        return original(f"file:{quote(place)}?mode=ro", *args, **{**kwargs, "uri": True})
    who.note(f"writes {shown(place)}")
    return original(":memory:", *args, **kwargs)
