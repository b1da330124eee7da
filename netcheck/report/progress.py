"""What is being checked right now, on one line of a terminal that the next one overwrites.

    [3/20] src/net.py:Net: probe

The line is gone before anything else is written. A pipe, a file or a dumb terminal gets nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

from netcheck.report.terminal import printable, shorten

CLEAR = "\r\x1b[2K"  # to the line's beginning, and erase it


def watches(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody sits before a terminal that can overwrite a line."""
    return stream.isatty() and environment.get("TERM") != "dumb"


class ProgressLine:
    """Writes events on one line of a terminal, as a context in which nothing else is written."""

    def __init__(self, stream: TextIO) -> None:
        """Begin with nothing on the line."""
        self.stream = stream
        self.shown = ""

    def __call__(self, name: str, phase: str, number: int, total: int) -> None:
        """Show what happens to one target."""
        columns = max(20, shutil.get_terminal_size().columns - 1)
        text = f"[{number}/{total}] {printable(name)}: {phase}"
        text = shorten(text, columns if text.isascii() else columns // 2)  # some signs are two columns wide
        encoding = self.stream.encoding or "ascii"
        text = text.encode(encoding, "replace").decode(encoding)
        if text != self.shown:
            self.shown = text
            self.stream.write(CLEAR + text)
            self.stream.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.clear()

    def clear(self) -> None:
        """Leave nothing on the line: something else is about to be written."""
        if self.shown:
            self.shown = ""
            self.stream.write(CLEAR)
            self.stream.flush()
