"""Edits of source files that mend a finding: plain data.

Fix
  +-- Edit       one range of a file, and what is to stand there
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """One range of a file, and what is to stand in its place; an empty range is where text is put in.

    Lines and columns count from 1, columns in characters; the end column points past the last character. In a notebook they are
    those of its Python text (`netcheck.source.notebook`). Line ends in `content` are those of the file.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    content: str


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit that was tried: what it does, where, and what was measured of it.

    Attributes:
        title: what it does, as an order: "build the layer with `bias=False`".
        safe: whether the model computes the same with it, which was measured.
        edits: what is written, apart from each other and in order; none where it builds on the lines of another fix.
        note: what else changes, such as the names in checkpoints; "" for nothing.
        gain_before: decades of the gradient's gain before all fixes of the model, None where that was not measured.
        gain_after: the same afterwards.
        structural: whether it makes another network of it: it is shown, and never applied.
    """

    title: str
    safe: bool
    edits: tuple[Edit, ...]
    note: str = ""
    gain_before: float | None = None
    gain_after: float | None = None
    structural: bool = False
