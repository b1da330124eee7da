"""Skips that are overwritten in place.

x += self.branch(x)           x = x + self.branch(x)
self.act = nn.ReLU(True)      self.act = nn.ReLU()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, dotted, last_name, without_argument
from netcheck.location import Location

OPERATORS: dict[type[cst.BaseAugOp], str] = {
    cst.AddAssign: "+",
    cst.SubtractAssign: "-",
    cst.MultiplyAssign: "*",
    cst.DivideAssign: "/",
}
INPLACE = {  # where activations take `inplace`, behind what else they take
    "ReLU": 0, "ReLU6": 0, "SiLU": 0, "Hardswish": 0, "Hardsigmoid": 0, "Mish": 0, "SELU": 0, "ELU": 1, "CELU": 1, "LeakyReLU": 1,
    "Dropout": 1, "Dropout1d": 1, "Dropout2d": 1, "Dropout3d": 1, "Hardtanh": 2, "Threshold": 2, "RReLU": 2,
    "relu": 1, "relu6": 1, "silu": 1, "hardswish": 1, "mish": 1, "selu": 1, "elu": 2, "leaky_relu": 2, "dropout": 3,
}  # fmt: skip


class OutOfPlace(Editor):
    """Has the operation make a tensor of its own."""

    codes = ("NC403",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Rewrites where the first operation that works in place is built or called."""
        found = [edit for place in case.finding.locations for edit in out_of_place(case.code(place), place)]
        if not found:
            raise ByHand("no line that works in place was found")
        return found


def out_of_place(code: Code, place: Location) -> Iterator[Edit]:
    """The edit for one place, if something works in place there."""
    changed = code.at(place, cst.AugAssign)
    if changed is not None and type(changed.operator) in OPERATORS and code.line_number(changed) == place.line:
        sign = OPERATORS[type(changed.operator)]
        value = code.text[slice(*code.extent(changed.value))]
        wraps = isinstance(changed.value, cst.BinaryOperation | cst.IfExp | cst.Comparison | cst.BooleanOperation) and (
            sign != "+" or not isinstance(changed.value, cst.BinaryOperation)
        )
        target = code.source_of(changed.target)
        yield code.edit(
            code.begin_of(changed), code.end_of(changed), f"{target} = {target} {sign} {f'({value})' if wraps else value}"
        )
        return
    call = code.at(place, cst.Call)
    if call is None or code.line_number(call) != place.line:
        return
    name = last_name(call.func)
    if name in INPLACE and (asked := argument(call, INPLACE[name], "inplace")) is not None and dotted(asked.value) != "False":
        if dotted(asked.value) != "True":
            raise ByHand(f"line {place.line} decides by `{code.source_of(asked.value)}`")
        yield code.replaced(call, without_argument(call, asked))
    elif name.endswith("_") and not name.endswith("__") and isinstance(call.func, cst.Attribute):
        new = call.with_changes(func=call.func.with_changes(attr=cst.Name(name[:-1])))
        line = code.parents.get(call)
        if isinstance(line, cst.Expr):  # nothing takes the result: the tensor itself was meant to change
            raise ByHand(f"line {place.line} changes `{code.source_of(call.func.value)}` and uses no result")
        yield code.replaced(call, new)
