"""Dropout: of whole channels instead of single pixels, `nn.Dropout(0.5)` -> `nn.Dropout2d(0.1)`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, is_literal, is_self, last_name, renamed, with_argument

MODULES = ("Dropout", "AlphaDropout")
FUNCTIONS = ("dropout", "alpha_dropout")
CURE = re.compile(r"`nn\.(?P<name>Dropout[123]d)\((?P<rate>[\d.]+)\)`")


class Spatial(Editor):
    """Drops whole channels, at the smaller rate that the finding names."""

    codes = ("NC201",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """An edit for each line that builds or calls such a dropout."""
        cure = CURE.search(case.finding.help)
        assert cure is not None
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            name = last_name(call.func) if call is not None else ""
            if call is None:
                raise ByHand(f"line {place.line} drops by arithmetic of its own")
            if name in MODULES:
                yield code.replaced(call, spatial(code, call, cure["name"], float(cure["rate"])))
            elif name in FUNCTIONS and not is_self(call.func):
                yield code.replaced(call, spatial(code, call, cure["name"].lower(), float(cure["rate"]), position=1))


def spatial(code: Code, call: cst.Call, name: str, most: float, *, position: int = 0) -> cst.Call:
    """The call with another name, and a rate of at most so much."""
    rate = argument(call, position, "p")
    new = call.with_changes(func=renamed(call.func, name))
    if rate is None:
        return with_argument(new, "p", f"{most:g}", position) if position else new.with_changes(args=(first(most), *call.args))
    if not is_literal(rate.value):
        raise ByHand(f"line {code.line_number(call)} takes its rate from `{code.source_of(rate.value)}`: {most:g} is enough")
    value = float(cst.ensure_type(rate.value, cst.Float | cst.Integer).evaluated_value)  # type: ignore[arg-type]
    return with_argument(new, "p", f"{min(value, most):g}", position)


def first(rate: float) -> cst.Arg:
    """A rate as the first argument."""
    return cst.Arg(cst.Float(f"{rate:g}"))
