"""Source files as syntax trees: reading, decoding, parsing, once for each version of a file. Imports no
torch.

read(path) -> bytes ----> parse(path) -> SourceFile(path, text lines, ast.Module)
                     |
notebook.py <--------+    an .ipynb becomes Python text first, and so does what stands in a README
"""

from __future__ import annotations

import ast
import codecs
import io
import os
import re
import stat
import tokenize
import warnings
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from netcheck.source import markdown, notebook, overlay

SIZE_LIMIT = 2 * 1024 * 1024  # bytes; an ast takes about a hundred times its source
NOTEBOOK_LIMIT = 64 * 1024 * 1024  # with the pictures that are its output
NOTEBOOK = ".ipynb"

OLD_KEYWORD = re.compile(rb"\basync(?=\s*=[^=])")  # an argument of Tensor.cuda, until Python took the word
MOST_LINES = 200  # that are read as `pass`, in a file that does not parse

MOST_FILES = 16384  # that are kept: one that is parsed anew has another tree, in which no class is found again


class Unreadable(Exception):
    """A file that holds no Python that can be parsed. Its text says why, in words that follow the file's
    name.

    Attributes:
        line: the line at fault, if the fault has one.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line

    def anew(self) -> Unreadable:
        """The same without a traceback: one that is kept must not keep the frames that it passed, and what these hold."""
        return Unreadable(str(self), self.line)


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One parsed file. Compared by identity: a file that changed on disk is another SourceFile."""

    path: str
    raw: bytes = field(repr=False)  # Python, also where the file is a notebook
    tree: ast.Module = field(repr=False)

    @cached_property
    def lines(self) -> list[str]:
        """The text, split as the parser splits it."""
        with io.TextIOWrapper(io.BytesIO(self.raw), self.encoding, errors="replace", newline=None) as text:
            return text.read().split("\n")

    @cached_property
    def encoding(self) -> str:
        """What the file's first two lines declare, UTF-8 by default."""
        return tokenize.detect_encoding(io.BytesIO(self.raw).readline)[0]

    def column(self, line: int, offset: int) -> int:
        """The column, from 1 and in characters, of an ast offset, which counts bytes of UTF-8 from 0."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        if text.isascii():
            return offset + 1
        return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1


def read(path: str, limit: int = SIZE_LIMIT) -> bytes:
    """The bytes of a regular file, or of the text that is laid over it.

    Raises:
        Unreadable: it does not exist, may not be read, is no regular file, or is larger than `limit`.
    """
    if (text := overlay.content(path)) is not None:
        return text
    try:
        with open(path, "rb", opener=open_without_blocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("is not a regular file")
            if status.st_size > limit:
                raise Unreadable(
                    f"is {status.st_size / 2**20:.1f} MiB, more than the {limit / 2**20:.0f} MiB that netcheck reads"
                )
            return file.read()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from error


def open_without_blocking(path: str, flags: int) -> int:
    """An opener that does not wait for a writer where `path` is a named pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse(path: str) -> SourceFile:
    """The syntax tree of a Python file or notebook, from the cache where the file has not changed.

    Raises:
        Unreadable: there is no such file, or it is no Python: the reason, and the line of a syntax error.
    """
    try:
        version = overlay.version(markdown.file_of(path))
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    found = parse_version(path, *version)
    if isinstance(found, Unreadable):
        raise found.anew()
    return found


@lru_cache(maxsize=MOST_FILES)
def parse_version(path: str, modified: int, size: int) -> SourceFile | Unreadable:
    """`parse` for one version of a file. A failure is cached like a tree, so it is returned, not raised."""
    try:
        raw = python_of(path, modified, size)
        return SourceFile(path, raw, parse_bytes(raw))
    except Unreadable as error:
        return error.anew()


def legible(path: str) -> SourceFile | None:
    """What can be read of a file that does not parse as a whole, such as one of Python 2: to look up how it calls what."""
    try:
        return legible_version(path, *overlay.version(path))
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=MOST_FILES)
def legible_version(path: str, modified: int, size: int) -> SourceFile | None:
    """`legible` for one version of a file: each line that does not parse is a `pass`, or empty."""
    try:
        raw = OLD_KEYWORD.sub(b"sync", python_of(path, modified, size))
    except Unreadable:
        return None
    lines = raw.split(b"\n")
    for _ in range(MOST_LINES):
        try:
            return SourceFile(path, raw, parse_bytes(raw))
        except Unreadable as error:
            place = (error.line or 0) - 1
        if not 0 <= place < len(lines) or not (text := lines[place].lstrip()):
            return None
        lines[place] = b"" if text == b"pass" else lines[place][: -len(text)] + b"pass"  # empty: the rest of a statement
        raw = b"\n".join(lines)
    return None


def python_of(path: str, modified: int, size: int) -> bytes:
    """The Python of one version of a file.

    Raises:
        Unreadable: it cannot be read, or is no notebook where its name says so.
    """
    if (file := markdown.file_of(path)) != path:
        return (markdown.part(path, text_of(file)) or "").encode()
    if not path.endswith(NOTEBOOK):
        return read(path)
    found = notebook_version(path, modified, size)
    if isinstance(found, Unreadable):
        raise found.anew()
    raw = found.python.encode("utf-8", "surrogatepass")
    if len(raw) > SIZE_LIMIT:
        raise Unreadable(
            f"holds {len(raw) / 2**20:.1f} MiB of code, more than the {SIZE_LIMIT / 2**20:.0f} MiB that netcheck reads"
        )
    return raw


def text_of(path: str) -> str:
    """The text of a README.

    Raises:
        Unreadable: it cannot be read.
    """
    return read(path).decode("utf-8", "replace")


def notebook_at(path: str) -> notebook.Notebook | None:
    """The notebook in a file; None if it is none, or cannot be read."""
    if not path.endswith(NOTEBOOK):
        return None
    try:
        found = notebook_version(path, *overlay.version(path))
    except (OSError, ValueError):
        return None
    return None if isinstance(found, Unreadable) else found


@lru_cache(maxsize=64)
def notebook_version(path: str, modified: int, size: int) -> notebook.Notebook | Unreadable:
    """One version of a notebook."""
    try:
        return notebook.read(read(path, NOTEBOOK_LIMIT))
    except notebook.NotANotebook as error:
        return Unreadable(f"is not a notebook: {error}")
    except Unreadable as error:
        return error.anew()


def limit_of(path: str) -> int:
    """The bytes that a file may have."""
    return NOTEBOOK_LIMIT if path.endswith(NOTEBOOK) else SIZE_LIMIT


def parse_bytes(raw: bytes) -> ast.Module:
    """Parse Python source in whatever encoding it declares.

    Raises:
        Unreadable: the bytes are UTF-16 or UTF-32, binary, or not Python.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise Unreadable("is UTF-16 or UTF-32 text, which Python cannot run; save it as UTF-8")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        raise Unreadable("holds null bytes, so it is not Python source", line)
    require_decodable(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as an invalid escape: not our subject
            return ast.parse(raw)
    except SyntaxError as error:
        raise Unreadable(f"has a syntax error: {error.msg}", error.lineno) from error
    except (RecursionError, MemoryError) as error:
        raise Unreadable("is nested too deeply to be parsed") from error
    except ValueError as error:
        raise Unreadable(f"is not Python source: {error}") from error


def require_decodable(raw: bytes) -> None:
    """Refuse bytes that are not text in the encoding that they declare, UTF-8 if they declare none.

    Raises:
        Unreadable: with the line of the first byte that is no text.
    """
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"cannot be decoded as {error.encoding}", line) from error
    except SyntaxError as error:
        raise Unreadable(f"cannot be decoded: {error.msg}", 1) from error
