"""Texts in the place of files: what a file would be after an edit, for whoever reads, parses or imports it. Imports no torch.

with laid_over([("/home/me/net.py", b"...")]):
    parse("/home/me/net.py")        the tree of the text
    import net                      the module that the text defines
    inspect.getsource(net.Net)      its lines

The file stays where it is, and as it is: what lies beside it (data, other modules) is found as ever.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import linecache
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Texts = tuple[tuple[str, bytes], ...]  # an absolute path, and what is to stand in its place

laid: dict[str, bytes] = {}  # by real path


def content(path: str) -> bytes | None:
    """What stands in the place of a file; None for nothing."""
    return laid.get(os.path.realpath(path)) if laid else None


def version(path: str) -> tuple[int, int]:
    """What tells two versions of a file apart: when it was changed and how large it is; of a text, its hash below zero.

    Raises:
        OSError: there is no such file.
        ValueError: the path is none.
    """
    status = os.stat(path)
    text = content(path)
    if text is None:
        return status.st_mtime_ns, status.st_size
    return -int.from_bytes(hashlib.sha256(text).digest()[:8], "big"), len(text)


@contextmanager
def laid_over(texts: Iterable[tuple[str, bytes]]) -> Iterator[None]:
    """Have each of these texts read and imported in the place of its file."""
    texts = list(texts)
    if not texts:
        yield
        return
    before = dict(laid)
    laid.update({os.path.realpath(path): text for path, text in texts})
    lines = {path: linecache.cache.pop(path, None) for path, _ in texts}
    for path, text in texts:
        if path.endswith(".py"):
            shown = text.decode("utf-8", "replace").splitlines(keepends=True)
            linecache.cache[path] = (len(text), None, shown, path)  # without a time: it is not compared with the file
    try:
        with imported_as_laid():
            yield
    finally:
        laid.clear()
        laid.update(before)
        for path, entry in lines.items():
            linecache.cache.pop(path, None)
            if entry is not None:
                linecache.cache[path] = entry


@contextmanager
def imported_as_laid() -> Iterator[None]:
    """Have imports read the texts; no bytecode is taken for them, and none is kept of them."""
    kind: Any = importlib.machinery.SourceFileLoader
    names = ("get_data", "path_stats")
    before = {name: getattr(kind, name) for name in names}
    own = [name for name in names if name in vars(kind)]

    def get_data(loader: Any, path: str) -> bytes:
        text = content(path)
        return before["get_data"](loader, path) if text is None else text

    def path_stats(loader: Any, path: str) -> Any:
        if content(path) is not None:
            raise OSError(f"{path} is not read from the disk")  # then Python neither looks for bytecode nor writes any
        return before["path_stats"](loader, path)

    kind.get_data, kind.path_stats = get_data, path_stats
    try:
        yield
    finally:
        for name in names:
            if name in own:
                setattr(kind, name, before[name])
            else:
                delattr(kind, name)
