"""Which files may be written although the fence is closed. Imports no torch.

/tmp/netcheck-x1/...            a folder that netcheck made for this check
/dev/null, /dev/nvidia0         devices
~/.cache/..., $TORCH_HOME/...   a library's cache, where a library writes it
~/.config/matplotlib, ~/.keras  a library's own folder, where that library writes it
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from netcheck.load.fence.askers import Asker
from netcheck.load.fence.state import state

DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/std",
    "/dev/fd/",
    "/dev/pts/",
    "/dev/nvidia",
    "/dev/dri",
    "/dev/kfd",
)
PROCESS = "/proc/"
CACHES = (".cache", ".triton", ".nv", os.path.join("Library", "Caches"))
SETTINGS = (".config", os.path.join(".local", "share"))  # in these each library has a folder
CACHE_VARIABLES = (
    "XDG_CACHE_HOME", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "TRITON_HOME", "TRITON_CACHE_DIR",
    "CUDA_CACHE_PATH", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE",
    "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "KERAS_HOME", "NLTK_DATA", "PYTHONPYCACHEPREFIX",
)  # fmt: skip


def may_write(path: str, asker: Asker) -> bool:
    """Whether a file may be made, changed or removed. The path is absolute, with symbolic links resolved."""
    if path.startswith((*DEVICES, PROCESS)) or (state.scratch and is_below(path, state.scratch)):
        return True
    if asker.is_trusted:
        return True
    if asker.kind not in ("library", "torch"):
        return False
    own = own_folders(asker.package) if asker.package else ()
    return any(is_below(path, folder) for folder in (*cache_folders(), *own))


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


@lru_cache(maxsize=1)
def cache_folders() -> tuple[str, ...]:
    """The folders in which libraries keep what can be made anew, as the environment is when first asked."""
    home = os.path.expanduser("~")
    named = (os.environ.get(name, "") for name in CACHE_VARIABLES)
    folders = (*(os.path.join(home, name) for name in CACHES if os.path.isabs(home)), *named)
    return tuple(os.path.realpath(folder) for folder in folders if os.path.isabs(folder))


def existing(folders: Iterable[str]) -> list[str]:
    """Those that are there, and this user's folder for what is not a cache."""
    home = os.path.expanduser("~")
    return [folder for folder in (*folders, *(os.path.join(home, name) for name in SETTINGS)) if os.path.isdir(folder)]


@lru_cache(maxsize=256)
def own_folders(package: str) -> tuple[str, ...]:
    """The folders below the user's home that have a library's name."""
    home = os.path.expanduser("~")
    names = (f".{package}", *(os.path.join(name, package) for name in SETTINGS))
    return tuple(os.path.realpath(os.path.join(home, name)) for name in names)


def resolved(path: Any, folder: int | None = None, *, follow: bool = False) -> str:
    """A path as a function of `os` takes it, absolute and without symbolic links on the way; "" where that cannot be told.

    Args:
        path: text, bytes, a path or a descriptor.
        folder: the descriptor of the folder that it starts from, if one was given.
        follow: whether the last part is followed as well, if it is a link.
    """
    try:
        if isinstance(path, int):
            return of_descriptor(path)
        text = os.fsdecode(path)
        if folder is not None and not os.path.isabs(text):
            text = os.path.join(of_descriptor(folder), text)
        place = os.path.abspath(text)
        return (
            os.path.realpath(place) if follow else os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        )
    except (TypeError, ValueError, OSError):
        return ""


def of_descriptor(number: int) -> str:
    """The path of an open file, "" where the system does not tell."""
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def shown(path: str) -> str:
    """A path as a person in this folder would write it, not endless."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        relative = path
    text = path if relative.startswith(os.pardir) else relative
    return text if len(text) <= 60 else "..." + text[-57:]
