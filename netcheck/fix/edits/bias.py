"""A bias that the norm behind it takes away again: `nn.Conv2d(3, 8, 3)` -> `nn.Conv2d(3, 8, 3, bias=False)`."""

from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.code import ByHand
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, is_literal, last_name, with_argument

BIAS = {  # where the bias stands among the arguments of a layer
    "Linear": 2, "LazyLinear": 1,
    "Conv1d": 7, "Conv2d": 7, "Conv3d": 7,
    "LazyConv1d": 6, "LazyConv2d": 6, "LazyConv3d": 6,
    "ConvTranspose1d": 7, "ConvTranspose2d": 7, "ConvTranspose3d": 7,
}  # fmt: skip


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
            if name not in BIAS:
                raise ByHand(f"line {place.line} builds the layer with `{name}`, which is not PyTorch's own")
            there = argument(call, BIAS[name], "bias")
            if there is not None and not is_literal(there.value):
                raise ByHand(f"line {place.line} decides about the bias by `{code.source_of(there.value)}`")
            yield code.replaced(call, with_argument(call, "bias", "False", BIAS[name]))
