"""What makes an edit of a finding: the base of everything in `netcheck.fix.edits`.

    class WithoutBias(Editor):
        '''Conv2d(3, 8, 3) -> Conv2d(3, 8, 3, bias=False)'''

        codes = ("NC302",)

        def edits(self, case):
            for place in case.finding.locations:
                ...
                yield code.replaced(call, with_argument(call, "bias", "False"))

Nothing registers it: the file is found. What it does in words, and whether that is safe, stands with the rule (`fixable`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from netcheck.figures.fixes import Edit
from netcheck.findings import Finding, Report
from netcheck.fix.code import ByHand, Code
from netcheck.fix.sources import Sources
from netcheck.location import Location


@dataclass(frozen=True)
class Case:
    """A finding that is to be mended, the report that it stands in, and the files as they are."""

    finding: Finding
    report: Report
    sources: Sources

    def code(self, place: Location) -> Code:
        """The file of a place.

        Raises:
            ByHand: it may not be edited.
        """
        return self.sources.code(place.file)

    @property
    def place(self) -> tuple[Code, Location]:
        """The first place of the finding, and its file.

        Raises:
            ByHand: it has none, or one that may not be edited.
        """
        place = self.finding.location
        if place is None:
            raise ByHand("its place in the source is not known")
        return self.code(place), place


class Editor:
    """Makes the edits that mend what one rule, or a few, find.

    `codes` are the rules'. An edit that is said to be safe and changes outputs does not hold; where `may_change` them is part of
    what it mends (a mode that reaches more modules), it is tried once more as an unsafe one.
    """

    codes: ClassVar[tuple[str, ...]]
    may_change: ClassVar[bool] = False

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits that mend a finding; all of them together.

        Raises:
            ByHand: none can be made.
        """
        raise NotImplementedError

    def is_safe(self, case: Case, safe: bool) -> bool:
        """Whether outputs and gradients stay the same in this case; `safe` is what the rule says of all."""
        return safe

    def title(self, case: Case, title: str) -> str:
        """What the edit does; `title` is what the rule says."""
        return title


@cache
def editors() -> Mapping[str, Editor]:
    """All editors by code of a rule."""
    import netcheck.fix.edits as package

    found: dict[str, Editor] = {}
    for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, type) and issubclass(value, Editor) and value.__module__ == info.name:
                found |= dict.fromkeys(getattr(value, "codes", ()), value())
    return found
