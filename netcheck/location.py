"""A place in the user's source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the user's source. Lines and columns count from 1; an end column points past the last character."""

    file: str
    line: int
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None
    function: str = ""  # qualified name of the function that holds the line, if known

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
