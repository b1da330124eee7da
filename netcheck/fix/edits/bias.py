"""A bias that the norm behind it takes away again: `nn.Conv2d(3, 8, 3)` -> `nn.Conv2d(3, 8, 3, bias=False)`."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import assigned_once
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, dotted, is_literal, last_name, with_argument

BIAS = {  # where the bias stands among the arguments of a layer
    "Linear": 2, "LazyLinear": 1,
    "Conv1d": 7, "Conv2d": 7, "Conv3d": 7,
    "LazyConv1d": 6, "LazyConv2d": 6, "LazyConv3d": 6,
    "ConvTranspose1d": 7, "ConvTranspose2d": 7, "ConvTranspose3d": 7,
}  # fmt: skip
WITH_LAYER = ("conv", "linear", "dense", "block", "act")  # in the names of what builds a layer with its norm


class WithoutBias(Editor):
    """Builds the layer without."""

    codes = ("NC302",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """An edit for each line that builds such a layer."""
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            name = last_name(call.func) if call is not None else ""
            if call is None or not name[:1].isupper():
                continue  # where forward runs it
            if name in ("Sequential", "ModuleList"):
                raise ByHand(f"the line that builds the layer was not found, but that of the `{name}` around it")
            if name not in BIAS:
                raise ByHand(f"line {place.line} builds the layer with `{name}`, which is not PyTorch's own")
            before = spreads_others(code, call, "bias")
            there = None if before else argument(call, BIAS[name], "bias")
            if there is not None and not is_literal(there.value):
                raise ByHand(f"line {place.line} decides about the bias by `{code.source_of(there.value)}`")
            if (test := norm_in_some_cases(code, call)) is not None:
                raise ByHand(
                    f"line {place.line} builds a layer whose norm depends on `{test}`: `bias=not {test}`, if that is all"
                )
            yield code.replaced(call, with_argument(call, "bias", "False", BIAS[name], before_spread=before))


def spreads_others(code: Code, call: cst.Call, name: str) -> bool:
    """Whether a call has no argument of this name: it spreads just dicts that the function writes out, without such a key."""
    if not any(arg.star for arg in call.args) or any(arg.keyword and arg.keyword.value == name for arg in call.args):
        return False
    spread = [assigned_once(code, call, dotted(arg.value)) for arg in call.args if arg.star]
    return all(one is not None and isinstance(one.value, cst.Dict) and name not in code.source_of(one.value) for one in spread)


def norm_in_some_cases(code: Code, call: cst.Call) -> str | None:
    """The condition on which the function that builds a layer builds a norm and no layer, so that this layer may have none."""
    function = code.around(call, cst.FunctionDef)
    if function is None:
        return None
    branches: list[cst.If | cst.IfExp] = [*code.inside(function, cst.If), *code.inside(function, cst.IfExp)]
    for branch in branches:
        taken: cst.CSTNode = branch.body
        names = [
            last_name(one.func) for one in (*code.inside(taken, cst.Call), *([taken] if isinstance(taken, cst.Call) else []))
        ]
        builds_norm = any(is_norm(name) for name in names)
        if builds_norm and not any(name in BIAS for name in names) and not code.is_within(call, branch):
            return code.source_of(branch.test)
    return None


def is_norm(name: str) -> bool:
    """Whether what is called so builds a norm alone: no `kaiming_normal_`, no `Conv2dNormActivation`."""
    low = name.lower()
    return low in ("bn", "gn") or ("norm" in low and not name.endswith("_") and not any(part in low for part in WITH_LAYER))
