"""What keeps a model from running at all: `foward`, `__int__`, a constructor that does not call that of nn.Module."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import calls_super, constructor, statements
from netcheck.fix.code import ByHand
from netcheck.fix.editor import Case, Editor

RENAME = re.compile(r"rename (\w+) to (\w+)")
UNLIKE = 0.8  # names of methods that are less alike than this are no typos
KNOWN = ("__init__", "__init_subclass__", "__int__")  # the last is Python's own, for numbers: no module is one


class Spelt(Editor):
    """Renames the method, or calls the constructor of nn.Module first."""

    codes = ("NC001", "NC003", "NC004")

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits, where it is one of these; nothing is said of other reasons."""
        if case.finding.location is None:
            raise ByHand("")
        code, place = case.place
        owner = code.at(place, cst.ClassDef)
        if owner is None or not isinstance(owner.body, cst.IndentedBlock):
            raise ByHand("")
        methods = [one for one in owner.body.body if isinstance(one, cst.FunctionDef)]
        if wanted := RENAME.search(case.finding.help):
            return [code.replaced(one.name, cst.Name(wanted[2])) for one in methods if one.name.value == wanted[1]]
        if "Module.__init__() call" in case.finding.message:
            made = constructor(code, owner)
            if calls_super(made, code) is not None:
                raise ByHand("the constructor of nn.Module is called too late")
            return [code.inserted(statements(made)[0], ["super().__init__()"], before=True)]
        if "no attribute" in case.finding.message and code.method(owner, "__init__") is None:
            meant = [one for one in methods if is_typo(one.name.value)]
            if len(meant) == 1:
                return [code.replaced(meant[0].name, cst.Name("__init__"))]
        raise ByHand("")


def is_typo(name: str) -> bool:
    """Whether a name is meant to be `__init__`."""
    return name.startswith("_") and name not in KNOWN[:2] and difflib.SequenceMatcher(None, name, "__init__").ratio() >= UNLIKE
