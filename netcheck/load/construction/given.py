"""One argument: how it is made, how it is written, who says so."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netcheck.source.construction.values import written

ONES = "torch.ones"


@dataclass(frozen=True)
class Given:
    """What is given for one parameter or option.

    Attributes:
        make: makes it, afresh for each model.
        text: how Python would write it.
        origin: where the source says so, "train.py:40"; "" if netcheck assumes it.
        value: the value itself, if it is plain data.
    """

    make: Callable[[], Any]
    text: str
    origin: str = ""
    value: Any = None

    @property
    def is_assumed(self) -> bool:
        """Whether nobody says so."""
        return not self.origin

    @property
    def is_table_of_ones(self) -> bool:
        """Whether it is a tensor that nothing is known of: weights of another shape may stand in its place."""
        return self.text.startswith(ONES)


def plain(value: Any, origin: str = "") -> Given:
    """A value of plain data."""
    return Given(lambda: copy.deepcopy(value), written(value), origin, value)


def made(make: Callable[[], Any], text: str, origin: str = "") -> Given:
    """What is made by a call."""
    return Given(make, text, origin)
