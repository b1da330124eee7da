"""What a text changes in a file, as a unified diff. Imports no torch."""

from __future__ import annotations

import difflib
import io
import json
import tokenize
from collections.abc import Iterable, Iterator

from netcheck.source.parse import NOTEBOOK


def unified(before: bytes, after: bytes, name: str, context: int = 3) -> str:
    """What changes in a file, as `patch -p1` and `git apply` take it; "" for nothing.

    Args:
        before: the file's bytes.
        after: what it would hold.
        name: the file's name in the diff, with slashes.
        context: lines that are shown around what changes.
    """
    old, new = (lines_of(content, name) for content in (before, after))
    return "".join(ended(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context)))


def lines_of(content: bytes, name: str) -> list[str]:
    """The lines of a file, with their ends."""
    declared = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    encoding = json.detect_encoding(content) if name.endswith(NOTEBOOK) else declared
    text = content.decode("utf-8" if encoding == "utf-8-sig" else encoding, "replace")
    return io.StringIO(text, newline="\n").readlines()


def ended(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a diff; behind one that has no end in the file, the words for that."""
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
