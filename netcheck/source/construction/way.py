"""One call by which a project builds a class, its arguments evaluated. Imports no torch.

Way("train.py", 40, args=(), kwargs={"nfeat": Unknown(("features", "shape", 1)), "nhid": 16})
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from netcheck.source.construction.values import full_text, is_known
from netcheck.source.spots import spot_in


@dataclass(frozen=True)
class Way:
    """One call, its arguments evaluated. What is not known is Unknown, or missing where the call unpacks it."""

    file: str
    line: int
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The file's name, and the line if it is one of code."""
        return spot_in(self.file, self.line) if self.line else os.path.basename(self.file)

    @property
    def unknown(self) -> int:
        """How many arguments are not known."""
        return sum(not is_known(one) for one in (*self.args, *self.kwargs.values()))

    def __str__(self) -> str:
        parts = [*map(full_text, self.args), *(f"{name}={full_text(one)}" for name, one in self.kwargs.items())]
        return f"{self.place}({', '.join(parts)})"
