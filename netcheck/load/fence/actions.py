"""Processes, sockets and signals: refused, as they would be to a user without rights. Imports no torch.

subprocess.run(["git", "log"])   Refused: netcheck lets no process be started: git log
urllib.request.urlopen(url)      Refused: netcheck lets nothing be sent: looks up example.com
os.kill(pid, SIGTERM)            Refused: netcheck lets no signal be sent
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import webbrowser
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from netcheck.load.fence.askers import Asker, asker
from netcheck.load.fence.patches import Answer, Patch
from netcheck.load.fence.state import PATIENCE, Halted, Refused, state

STARTS = (
    *("system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"),
    *("execv", "execve", "execl", "execle", "execlp", "execlpe", "execvp", "execvpe"),
    *("spawnv", "spawnve", "spawnvp", "spawnvpe", "spawnl", "spawnle", "spawnlp", "spawnlpe"),
)
SIGNALS = ("kill", "killpg", "abort")
LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo")
HERE = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "None")  # asking for these asks nobody else


def patches() -> list[Patch]:
    """All of them."""
    return [
        *(Patch(os, name, refusing(started)) for name in STARTS),
        *(Patch(os, name, refusing(signalled)) for name in SIGNALS),
        Patch(subprocess.Popen, "__init__", popen, method=True),
        Patch(BaseProcess, "start", refusing(started_process), method=True),
        *(Patch(socket.socket, name, refusing(connected), method=True) for name in ("connect", "connect_ex", "bind", "sendto")),
        *(Patch(socket, name, refusing(looked_up)) for name in LOOKUPS),
        Patch(webbrowser, "open", refusing(browsed)),
    ]


def refusing(told: Callable[..., str]) -> Answer:
    """An answer that refuses what `told` puts into words, "" for what harms nobody."""

    def answer(original: Any, *args: Any, **kwargs: Any) -> Any:
        who = asker()
        what = "" if who.is_trusted else told(*args, **kwargs)
        if not what:
            return original(*args, **kwargs)
        refuse(who, what)

    return answer


def popen(original: Any, self: Any, args: Any = None, *others: Any, **kwargs: Any) -> None:
    """The constructor of `subprocess.Popen`; a refused one leaves an object that can be thrown away."""
    who = asker()
    if who.is_trusted:
        original(self, args, *others, **kwargs)
        return
    self._child_created, self.returncode, self.pid = False, 1, 0
    refuse(who, started(args))


def refuse(who: Asker, what: str) -> NoReturn:
    """Note and raise; again and again at one line, so that no loop can go on.

    Raises:
        Refused: always, but
        Halted: after many of these at one line.
    """
    who.note(what)
    place = (who.file, who.line)
    state.refusals[place] += 1
    if state.building and state.refusals[place] > PATIENCE:
        raise Halted(what)
    raise Refused(errno.EPERM, f"netcheck does not let the code that it checks do this: it {what}")


def started(command: Any = "", *args: Any, **kwargs: Any) -> str:
    """Starting a program."""
    words = command if isinstance(command, list | tuple) else [command]
    try:
        text = " ".join(os.fsdecode(word) for word in words if isinstance(word, str | bytes | os.PathLike))
    except (TypeError, ValueError):
        text = ""
    text = " ".join(text.split())
    return f"starts a process: {text[:60]}" if text else "starts a process"


def started_process(process: Any, *args: Any) -> str:
    """Starting a process of multiprocessing."""
    return "starts a process"


def signalled(*args: Any) -> str:
    """Sending a signal, to whomever."""
    return f"sends a signal to process {args[0]}" if args else "ends its process"


def connected(own: Any, *args: Any) -> str:
    """Using a socket."""
    address = args[-1] if args else ""
    if isinstance(address, tuple) and len(address) >= 2:
        return f"opens a connection: {address[0]}:{address[1]}"
    return f"opens a connection: {os.fsdecode(address)}" if isinstance(address, str | bytes) else "opens a connection"


def looked_up(host: Any = "", *args: Any, **kwargs: Any) -> str:
    """Asking for the address of a name; not of this machine's own."""
    if isinstance(host, tuple):
        host = host[0] if host else ""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return "" if name in HERE or name == socket.gethostname() else f"opens a connection: {name}"


def browsed(url: Any = "", *args: Any, **kwargs: Any) -> str:
    """Opening a page in a browser."""
    return f"opens a page in a browser: {url}"
