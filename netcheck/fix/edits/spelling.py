"""What keeps a model from running at all: `foward`, `__int__`, a constructor that does not call that of nn.Module."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import calls_super, constructor, statements
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import dotted, last_name

RENAME = re.compile(r"rename (\w+) to (\w+)")
UNBUILT = re.compile(r"\b(\w+)(?:\.__init__)?\(\) (?:takes|got an unexpected)")  # Block.__init__() takes 1 positional argument
UNSET = re.compile(r"'(\w+)' object has no attribute")
UNCALLED = re.compile(r"Module \[(\w+)\] is missing the required")
UNLIKE = 0.8  # names of methods that are less alike than this are no typos
KNOWN = ("__init__", "__init_subclass__", "__int__")  # the last is Python's own, for numbers: no module is one


class Spelt(Editor):
    """Renames the method, or calls the constructor of nn.Module first."""

    codes = ("NC001", "NC003", "NC004")

    def edits(self, case: Case) -> Iterable[Edit]:
        """The edits, where it is one of these; nothing is said of other reasons."""
        if case.finding.location is None:
            raise ByHand("")
        try:
            code, place = case.place
        except ByHand as error:  # it is most likely none of these
            raise ByHand("") from error
        told, owner = case.finding.message, code.at(place, cst.ClassDef)
        if wanted := RENAME.search(case.finding.help):
            old, new = wanted.groups()
            return [code.replaced(one.name, cst.Name(new)) for one in methods(code, owner) if one.name.value == old][:1]
        if "Module.__init__() call" in told and owner is not None:
            made = constructor(code, owner)
            if calls_super(made, code) is not None:
                raise ByHand("the constructor of nn.Module is called too late")
            return [code.inserted(statements(made)[0], ["super().__init__()"], before=True)]
        for pattern, name in ((UNBUILT, "__init__"), (UNSET, "__init__"), (UNCALLED, "forward")):
            if (found := pattern.search(told)) is not None:
                every = list(code.every(cst.ClassDef))
                named = [one for one in every if found[1] in (one.name.value, *(last_name(base.value) for base in one.bases))]
                owner = next((one for one in named if any(is_typo(each.name.value, name) for each in methods(code, one))), None)
                return [respelt(code, owner, name)]
        raise ByHand("")


def methods(code: Code, owner: cst.ClassDef | None) -> Iterator[cst.FunctionDef]:
    """The methods of a class, and then those of its bases in the file."""
    if owner is None or not isinstance(owner.body, cst.IndentedBlock):
        return
    yield from (one for one in owner.body.body if isinstance(one, cst.FunctionDef))
    for base in owner.bases:
        known = (one for one in code.every(cst.ClassDef) if one.name.value == dotted(base.value) and one is not owner)
        yield from methods(code, next(known, None))


def respelt(code: Code, owner: cst.ClassDef | None, name: str) -> Edit:
    """The edit that gives the one method of a class whose name is nearly this its right name.

    Raises:
        ByHand: it has one of that name, or none, or several that are like it.
    """
    found = list(methods(code, owner))
    meant = [one for one in found if is_typo(one.name.value, name)]
    if len(meant) != 1 or any(one.name.value == name and code.parents[one] is code.parents[meant[0]] for one in found):
        raise ByHand("")
    return code.replaced(meant[0].name, cst.Name(name))


def is_typo(name: str, meant: str) -> bool:
    """Whether a name is meant to be another one."""
    alike = difflib.SequenceMatcher(None, name, meant).ratio() >= UNLIKE
    return alike and name != meant and name not in KNOWN[:2] and name.startswith("_") == meant.startswith("_")
