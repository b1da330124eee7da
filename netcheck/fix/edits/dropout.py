"""Dropout: of whole channels instead of single pixels, `nn.Dropout(0.5)` -> `nn.Dropout2d(0.1)`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import assigned_once, in_torch
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, dotted, is_literal, is_self, last_name, renamed, with_argument

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


class Moded(Editor):
    """Lets the mode of the module decide whether anything is dropped."""

    codes = ("NC202",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """An edit for each line, by what keeps the dropout on there."""
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            name = last_name(call.func) if call is not None else ""
            if call is None or "draws a random mask" in case.finding.message:
                raise ByHand("forward draws the mask itself: do so only `if self.training:`")
            if not in_method(code, call):
                raise ByHand("it is in no method of a module, which has a mode")
            if name == "scaled_dot_product_attention":
                yield of_attention(code, call)
            elif isinstance(call.func, cst.Call) and last_name(call.func.func) in CLASSES:
                yield from built_once(code, call, call.func)
            elif isinstance(call.func, cst.Name) and (made := named_there(code, call, call.func.value)) is not None:
                assert isinstance(made.value, cst.Call)
                yield from built_once(code, call, made.value)
                if is_only_called(code, made, [code.at(one, cst.Call) for one in case.finding.locations]):
                    yield code.removed(code.line_of(made))
            elif name in CLASSES.values():
                where = argument(call, 2, "training") if dotted(call.func) != "torch.dropout" else argument(call, 2, "train")
                if where is not None and dotted(call.func) == "torch.dropout":
                    yield code.replaced(where.value, cst.parse_expression("self.training"))
                else:
                    yield code.replaced(call, with_argument(call, "training", "self.training", 2))
            else:
                raise ByHand(f"line {place.line} drops in a way of its own: draw only `if self.training:`")


CLASSES = {
    "Dropout": "dropout", "Dropout1d": "dropout1d", "Dropout2d": "dropout2d", "Dropout3d": "dropout3d",
    "AlphaDropout": "alpha_dropout", "FeatureAlphaDropout": "feature_alpha_dropout",
}  # fmt: skip


def in_method(code: Code, node: cst.CSTNode) -> bool:
    """Whether `self` is there."""
    function = code.around(node, cst.FunctionDef)
    return function is not None and [one.name.value for one in function.params.params[:1]] == ["self"]


def named_there(code: Code, call: cst.Call, name: str) -> cst.Assign | None:
    """The statement of the same function that builds the dropout which is called by a name; None if there is not one."""
    made = assigned_once(code, call, name)
    is_dropout = made is not None and isinstance(made.value, cst.Call) and last_name(made.value.func) in CLASSES
    return made if is_dropout else None


def is_only_called(code: Code, made: cst.Assign, calls: Sequence[cst.Call | None]) -> bool:
    """Whether a name is used for nothing but these calls."""
    function, name = code.around(made, cst.FunctionDef), dotted(made.targets[0].target)
    uses = [one for one in code.inside(function or code.module, cst.Name) if one.value == name]
    called = [one for one in uses if any(call is not None and call.func is one for call in calls)]
    return len(made.targets) == 1 and len(called) == len(uses) - 1


def of_attention(code: Code, call: cst.Call) -> Edit:
    """The rate of an attention, zero out of training."""
    rate = argument(call, 4, "dropout_p")
    if rate is None:
        raise ByHand("its rate was not found")
    text = code.source_of(rate.value)
    return code.replaced(rate.value, cst.parse_expression(f"{text} if self.training else 0.0"))


def built_once(code: Code, call: cst.Call, built: cst.Call) -> Iterable[Edit]:
    """A module that is built in forward, as the function that it is: `nn.Dropout(0.5)(x)` as `F.dropout(x, 0.5, ...)`."""
    name, imports = in_torch(code, f"F.{CLASSES[last_name(built.func)]}")
    yield from imports
    rate = argument(built, 0, "p")
    parts = [code.source_of(call.args[0].value), *([code.source_of(rate.value)] if rate is not None else [])]
    yield code.replaced(call, cst.parse_expression(f"{name}({', '.join(parts)}, training=self.training)"))
