"""Texts in the place of the files that they replace: shown as diffs, or written."""

from __future__ import annotations

import os
from pathlib import Path

from netcheck.atomic import replace_file
from netcheck.errors import UsageError
from netcheck.source.differences import unified
from netcheck.source.overlay import Texts
from netcheck.source.parse import Unreadable, limit_of, read


def write(texts: Texts, originals: Texts) -> None:
    """Write each text in the place of its file, at once and with the file's permissions.

    Args:
        texts: the files, and what they are to hold.
        originals: what they held when the fixes were tried.

    Raises:
        UsageError: one cannot be written, or holds something else by now: then none is written, but for those before one that
            the system refuses.
    """
    for path, before in originals:
        try:
            if read(path, limit_of(path)) != before:
                raise UsageError(f"{path} has changed while its fixes were tried", help="run this again")
        except Unreadable as error:
            raise UsageError(f"{path} {error}") from error
        if not os.access(path, os.W_OK):
            raise UsageError(f"{path} is write-protected", help="make it writable, or leave it out with --exclude")
    for path, text in texts:
        try:
            replace_file(path, text)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}", help="make it writable") from error


def diffs(texts: Texts) -> list[tuple[str, str]]:
    """Each file, and what changes in it.

    Raises:
        UsageError: a file cannot be read any more.
    """
    try:
        return [(path, unified(read(path, limit_of(path)), text, shown_as(path))) for path, text in texts]
    except Unreadable as error:
        raise UsageError(f"a file that was to be changed {error}") from error


def between(before: Texts, after: Texts) -> list[tuple[str, str]]:
    """What changes in each file from some texts to others."""
    return [(path, unified(old, new, shown_as(path))) for (path, old), (_, new) in zip(before, after, strict=True)]


def shown_as(path: str) -> str:
    """A file as a diff names it: from here, where it lies below."""
    relative = os.path.relpath(path)
    return Path(path if relative.startswith(os.pardir) else relative).as_posix().lstrip("/")
