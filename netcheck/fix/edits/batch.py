"""A batch size that is written into forward: `x.view(8, -1)` -> `x.view(x.size(0), -1)`, or `n = 8` -> `n = x.size(0)`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import assigned_once
from netcheck.fix.code import ByHand
from netcheck.fix.editor import Case, Editor
from netcheck.fix.edits.arguments import first_argument
from netcheck.fix.syntax import dotted

NUMBER = re.compile(r"batch size (\d+)")


class AnySize(Editor):
    """Takes the size from the input."""

    codes = ("NC704",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Replaces the number where the operation has it once."""
        number = NUMBER.search(case.finding.message)
        if number is None:
            raise ByHand("which operation has the size is not known")
        code, place = case.place
        call = code.call_at(place)
        values = [arg.value for arg in call.args]
        if len(values) == 1 and isinstance(values[0], cst.Tuple | cst.List):
            values = [one.value for one in values[0].elements]
        named = [assigned_once(code, one, one.value) for one in values if isinstance(one, cst.Name)]
        written = [one for one in (*values, *(made.value for made in named if made is not None)) if isinstance(one, cst.Integer)]
        found = [one for one in written if one.evaluated_value == int(number[1])]
        if len(found) != 1:
            raise ByHand(f"line {place.line} does not have {number[1]} as one of its sizes, once")
        owner = dotted(call.func.value) if isinstance(call.func, cst.Attribute) else ""
        is_tensor = owner and owner.partition(".")[0] not in ("torch", "F", "nn", "np", "self") and found[0] in values
        name = owner if is_tensor and "." not in owner else first_argument(code, call)
        yield code.replaced(found[0], cst.parse_expression(f"{name}.size(0)"))
