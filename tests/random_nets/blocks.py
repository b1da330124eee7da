"""What pieces need that put something around other lines: those lines, in place or as a class of their own."""

from __future__ import annotations

from collections.abc import Callable

from tests.random_nets.writing import Part, Shape, fit

Grown = Callable[[Part, Shape, int], tuple[Part, Shape]]  # so many pieces behind a value of this shape
Wire = Callable[[Part, Shape, Grown], None]


def inner(part: Part, shape: Shape, grown: Grown, *, same: bool = True, pieces: int = 1) -> tuple[Part, Shape]:
    """Some lines; brought back to the same shape if that is asked."""
    lines, after = grown(part, shape, pieces)
    if same and after != shape:
        lines.line(fit(after, shape))
        after = shape
    return lines, after


def as_module(part: Part, shape: Shape, grown: Grown, *, same: bool = True, pieces: int = 1) -> str:
    """The name of a new class whose forward is some lines."""
    lines, _ = inner(part, shape, grown, same=same, pieces=pieces)
    name = part.draw.name("Block")
    part.helpers += lines.helpers
    part.helper(lines.as_class(name))
    return name
