"""An argument that is missing or wrong: the dimension of a softmax, `batch_first=True`, `device=x.device`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from netcheck.figures.fixes import Edit
from netcheck.fix.classes import assigned_once
from netcheck.fix.code import ByHand, Code
from netcheck.fix.editor import Case, Editor
from netcheck.fix.syntax import argument, dotted, is_literal, last_name, with_argument

RECURRENT = ("RNN", "LSTM", "GRU", "MultiheadAttention", "Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer")
SOFTMAX = ("softmax", "log_softmax", "softmin", "Softmax", "LogSoftmax", "Softmin")


class Dimension(Editor):
    """Names the dimension of a softmax: the one that PyTorch takes, or that of the classes instead of the batch."""

    codes = ("NC109",)

    def is_safe(self, case: Case, safe: bool) -> bool:
        """Only where it is the one that is taken anyway."""
        return "over the batch" not in case.finding.message

    def edits(self, case: Case) -> Iterable[Edit]:
        """Sets `dim`."""
        dim = self.dimension(case)
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            name = last_name(call.func) if call is not None else ""
            if call is None or name not in SOFTMAX or dotted(call.func).startswith("self."):
                continue
            is_method = isinstance(call.func, cst.Attribute) and dotted(call.func.value) not in (
                "F",
                "torch",
                "nn",
                "nn.functional",
            )
            position = 0 if name[0].isupper() or is_method else 1
            yield code.replaced(call, with_argument(call, "dim", dim, position))

    def dimension(self, case: Case) -> str:
        """The one to name.

        Raises:
            ByHand: there are several.
        """
        if taken := re.search(r"`dim=(\d+)`", case.finding.help) if self.is_safe(case, True) else None:
            return taken[1]
        network = case.report.network
        shapes = {len(one.shape or ()) for one in (network.operations if network else ()) if one.name in case.finding.operations}
        if shapes == {2}:
            return "1"
        raise ByHand("of several other dimensions, which are the classes or steps is yours to say")


class BatchFirst(Editor):
    """Builds a recurrent layer or an attention so that the batch comes first."""

    codes = ("NC908",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Sets `batch_first`."""
        if "batch_first:" not in case.finding.help:
            raise ByHand("forward takes a step from the wrong dimension, or the layer runs over it: which is yours to say")
        for place in case.finding.locations:
            code = case.code(place)
            call = code.at(place, cst.Call)
            if call is not None and last_name(call.func) in ("TransformerEncoder", "TransformerDecoder"):
                call = layer_of(code, call)
            if call is None or last_name(call.func) not in RECURRENT:
                continue
            there = argument(call, None, "batch_first")
            if there is not None and not is_literal(there.value):
                raise ByHand(f"line {place.line} decides by `{code.source_of(there.value)}`")
            yield code.replaced(call, with_argument(call, "batch_first", "True"))


def layer_of(code: Code, call: cst.Call) -> cst.Call | None:
    """The call that builds the layer which a `nn.TransformerEncoder` is given; None where that is elsewhere."""
    layer = argument(call, 0, "encoder_layer") or argument(call, 0, "decoder_layer")
    if layer is None:
        return None
    if isinstance(layer.value, cst.Call):
        return layer.value
    made = assigned_once(code, call, dotted(layer.value))
    return made.value if made is not None and isinstance(made.value, cst.Call) else None


class Device(Editor):
    """Makes a tensor where the input of the function is."""

    codes = ("NC708",)

    def edits(self, case: Case) -> Iterable[Edit]:
        """Sets `device`."""
        for place in case.finding.locations[: case.finding.count]:
            code = case.code(place)
            call = code.call_at(place)
            name = first_argument(code, call)
            yield code.replaced(call, with_argument(call, "device", f"{name}.device"))


def first_argument(code: Code, node: cst.CSTNode) -> str:
    """The first argument, behind `self`, of the function that a node stands in.

    Raises:
        ByHand: there is none.
    """
    function = code.around(node, cst.FunctionDef)
    names = [one.name.value for one in function.params.params] if function is not None else []
    names = names[1:] if names[:1] == ["self"] else names
    if not names:
        raise ByHand("the function has no argument whose place could be taken")
    return names[0]
