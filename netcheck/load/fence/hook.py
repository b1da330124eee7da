"""An audit hook for what the patches do not see: functions that were fetched before, and classes of compiled code.

Python tells it of each open file, process and socket before the fact. It stays for as long as the process lives, so only
the worker's processes install it; there, what it refuses was noted by nobody before.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from netcheck.load.fence.actions import connected, looked_up, refuse, signalled, started
from netcheck.load.fence.askers import asker
from netcheck.load.fence.files import WRITING, is_writing
from netcheck.load.fence.places import may_write, resolved, shown
from netcheck.load.fence.state import Refused, state

installed: list[bool] = []

# Events about a path: the numbers of the arguments that are paths, and of the descriptors of folders that go with them.
PATHS = {
    "os.remove": ((0, 1), "deletes"), "os.rmdir": ((0, 1), "deletes"), "os.mkdir": ((0, 2), "makes"),
    "os.rename": ((1, 3), "renames"), "os.truncate": ((0, None), "cuts"), "os.chmod": ((0, 2), "changes"),
    "os.chown": ((0, 3), "changes"), "os.link": ((1, 3), "makes"), "os.symlink": ((1, 2), "makes"),
    "os.utime": ((0, 3), "changes"), "os.setxattr": ((0, None), "changes"), "os.removexattr": ((0, None), "changes"),
}  # fmt: skip
ACTIONS: dict[str, Callable[..., str]] = {
    "subprocess.Popen": lambda program, arguments, *rest: started(arguments or program),
    "os.system": started, "os.exec": lambda path, arguments, env: started(arguments), "os.posix_spawn": started,
    "os.fork": lambda: "starts a process", "os.forkpty": lambda: "starts a process",
    "pty.spawn": started, "os.spawn": lambda mode, path, arguments, env: started(arguments),
    "os.kill": signalled, "os.killpg": signalled, "signal.pthread_kill": signalled,
    "socket.connect": connected, "socket.bind": connected, "socket.sendto": connected, "socket.sendmsg": connected,
    "socket.getaddrinfo": looked_up, "socket.gethostbyname": looked_up, "socket.gethostbyaddr": looked_up,
}  # fmt: skip


def install() -> None:
    """Add the hook to this process, once."""
    if not installed:
        installed.append(True)
        sys.addaudithook(listen)


def listen(event: str, arguments: tuple[Any, ...]) -> None:
    """What Python calls before each event; nothing but a look at its name for most of them."""
    if event == "open":
        path, mode, flags = arguments
        if (flags & WRITING or is_writing(mode)) and state.holds():
            require_place(path, None, "writes", follow=True)
    elif event in PATHS:
        if state.holds():
            (path, folder), verb = PATHS[event]
            given = arguments[folder] if folder is not None and folder < len(arguments) else None
            require_place(arguments[path], given if isinstance(given, int) and given >= 0 else None, verb)
    elif event in ACTIONS and state.holds():
        who = asker()
        what = "" if who.is_trusted else ACTIONS[event](*arguments)
        if what:
            refuse(who, what)
    elif event == "sqlite3.connect" and state.holds():
        require_database(arguments[0])


def require_place(path: Any, folder: int | None, verb: str, *, follow: bool = False) -> None:
    """Let only what may be written be written.

    Raises:
        Refused: it may not.
    """
    if isinstance(path, int):
        return  # a descriptor: it was opened before
    place = resolved(path, folder, follow=follow)
    who = asker()
    if place and not may_write(place, who):
        who.note(f"{verb} {shown(place)}")
        raise Refused(errno.EACCES, "netcheck lets the code that it checks write no files", place)


def require_database(database: Any) -> None:
    """The same for a data base, unless it is opened for reading."""
    text = os.fsdecode(database) if isinstance(database, str | bytes | os.PathLike) else ""
    if text in ("", ":memory:") or "mode=ro" in text or "mode=memory" in text:
        return
    require_place(text.removeprefix("file:").partition("?")[0], None, "writes", follow=True)
