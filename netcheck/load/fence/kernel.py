"""What compiled code writes without a word to Python (HDF5, OpenCV, safetensors): the kernel does not let it.

Landlock, which Linux has since 5.13, takes from this process and its children the right to make, change and remove
files outside some folders; reading is as free as before. Where the kernel has none, nothing is done. There is no way
back: only a process that checks one target and ends may do this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Callable, Iterable
from typing import Any

CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # system calls, the same on all architectures
VERSION, BENEATH, NO_NEW_PRIVILEGES = 1, 1, 38
# Rights, by the version of the interface that brought them.
WRITE, REMOVE_FOLDER, REMOVE_FILE = 1 << 1, 1 << 4, 1 << 5
MAKE = sum(1 << bit for bit in range(6, 13))  # of all kinds
MOVE, CUT = 1 << 13, 1 << 14


def allow_only(folders: Iterable[str]) -> bool:
    """Let this process, for the rest of its life, write below these folders alone; whether that could be done."""
    if platform.system() != "Linux":
        return False
    with contextlib.suppress(OSError, AttributeError, ValueError):
        call = ctypes.CDLL(None, use_errno=True).syscall
        version = call(CREATE, None, ctypes.c_size_t(0), VERSION)
        if version < 2:  # the first one forbids every move from folder to folder
            return False
        rights = WRITE | REMOVE_FOLDER | REMOVE_FILE | MAKE | MOVE | (CUT if version >= 3 else 0)
        content = struct.pack("Q", rights)
        rules = call(CREATE, content, ctypes.c_size_t(len(content)), 0)
        if rules < 0:
            return False
        try:
            for folder in folders:
                permit(call, rules, folder, rights)
            ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
            return bool(call(RESTRICT, rules, 0) == 0)
        finally:
            os.close(rules)
    return False


def permit(call: Callable[..., Any], rules: int, folder: str, rights: int) -> None:
    """Let everything happen below a folder, if there is one."""
    with contextlib.suppress(OSError):
        place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        try:
            call(ADD_RULE, rules, BENEATH, struct.pack("=Qi", rights, place), 0)
        finally:
            os.close(place)
