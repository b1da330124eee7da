"""What a run may ask for, and what can be seen in a call that does not fail.

    Demand("size", x, have 8, want 3, axis 1, by "conv1.weight")     the second axis of x should be 3 long

`refusals` are calls that fake tensors let pass though real ones would fail; `oddities` run, but are hardly
what was meant. What a call that failed asks for is in `netcheck.load.inference.operations`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.load.inference.calls import Call, Origin

SEQUENCE_MODULES = (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)

CONVOLUTION = re.compile(r"conv(_transpose)?([123])d")
WEIGHT_AT = {
    "linear": (1, "weight"),
    "embedding": (1, "weight"),
    "embedding_bag": (1, "weight"),
    **{f"conv{n}d": (1, "weight") for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": (1, "weight") for n in (1, 2, 3)},
}
JOINED = "view of steps"
PRODUCTS = frozenset(["matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm", "mv"])
RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"))
INDEXED = {
    "gather": (1, 2),
    "index_select": (1, 2),
    "take_along_dim": (2, 1),
    "scatter": (1, 2),
    "scatter_add": (1, 2),
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What has to change: `have` should be `want`.

    kind    size    the length of `axis`         rank   the number of axes      numel  the number of elements
            dtype   "float", "long", "bool" or a dtype                          larger every spatial size
            swap    batch and sequence axes      parts  a sequence of so many   key    a dict with that key
            value   an integer computed from the sizes                          shape  the whole shape
            longer  at least so much of `axis`   provide  an optional argument  entry  a further key of `by`
            bundle  an object with that attribute   keyword  a further `**kwargs`   lengths  how long each sample is
            state   what a recurrent layer begins from: these shapes         batch  so many samples
            range   values between 0 and 1
    """

    kind: str
    origin: Origin | None
    have: Any
    want: Any
    axis: int | None = None
    by: str = ""  # who asks: a parameter's name, or an operation
    operation: str = ""  # the torch call that asks
    weight: bool = False  # the number comes from a weight's shape
    names: tuple[str, ...] = ()  # of parts: what forward calls them


def refusals(call: Call) -> Iterator[Demand]:
    """What fake tensors let pass though real ones would fail."""
    if call.name in WEIGHT_AT:
        x, weight = call.get(0, "input"), call.get(*WEIGHT_AT[call.name])
        origin = call.recorder.origin(x)
        if not isinstance(x, Tensor) or not isinstance(weight, Tensor) or origin is None:
            return
        by = call.recorder.parameters.get(id(weight), call.name)
        if call.name.startswith("embedding"):
            if x.dtype not in (torch.int64, torch.int32):
                yield Demand("dtype", origin, x.dtype, torch.int64, by=by, weight=True, operation=call.name)
        elif x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type) and wants_cast(x, weight):
            yield Demand("dtype", origin, x.dtype, weight.dtype, by=by, weight=True)
    elif call.name in RECURRENT:
        for operand in call.operands():
            x = operand.tensor  # of one axis: how many samples each step of a packed sequence has
            if operand.origin is not None and x.dim() > 1 and not x.is_floating_point():
                yield Demand("dtype", operand.origin, x.dtype, "float", by=call.name)
    elif call.name in PRODUCTS:
        operands = call.operands()[-2:]
        if len(operands) == 2 and operands[0].tensor.dtype != operands[1].tensor.dtype:
            for x, other in (operands, operands[::-1]):
                if x.origin is not None and other.tensor.is_floating_point() and wants_cast(x.tensor, other.tensor):
                    yield Demand("dtype", x.origin, x.tensor.dtype, other.tensor.dtype, by=call.name)


def wants_cast(x: Tensor, other: Tensor) -> bool:
    """Whether an operand's dtype was guessed wrong, and is no product of mixed computation."""
    return not torch.is_autocast_enabled(x.device.type) and (not x.is_floating_point() or other.is_floating_point())


def oddities(call: Call) -> Iterator[Demand]:
    """What runs, but is hardly what the author meant."""
    if call.name == "linear":
        x = call.get(0, "input")
        origin = call.recorder.origin(x)
        if origin is not None and x.dim() == 1 and call.recorder.is_batch(origin.axis(0)):
            yield Demand("rank", origin, 1, 2, by="a linear layer over samples")
    match = CONVOLUTION.fullmatch(call.name)
    if match:
        x = call.get(0, "input")
        origin = call.recorder.origin(x)
        if origin is not None and x.dim() == int(match[2]) + 1:
            yield Demand("rank", origin, x.dim(), x.dim() + 1, by=call.name)
    elif call.name in ("view", "reshape", "flatten"):
        x, sizes = call.args[0], reshape_sizes(call) if call.name != "flatten" else ()
        origin = call.recorder.origin(x)
        if (
            origin is not None
            and x.dim() == 2
            and x.is_floating_point()
            and call.recorder.is_guess(origin)
            and sizes[-1:] in ((), (-1,), (x.shape[1],))
        ):
            yield Demand("numel", origin, x.numel(), x.numel(), by=f"{call.name} of an input")
        if origin is None or len(sizes) != 2 or sizes[0] != -1 or x.dim() < 2 or not call.recorder.is_batch(origin.axes[0]):
            return
        explicit = math.prod(sizes[1:])
        suffixes = [math.prod(x.shape[axis:]) for axis in range(1, x.dim())]
        if explicit > 1 and explicit not in suffixes and x.numel() % explicit == 0:
            if x.dim() == 3 and origin.axes[1] is not None:  # steps of an input: the features of each
                yield Demand("size", origin, x.shape[-1], explicit, axis=x.dim() - 1, by=call.name, operation=JOINED)
            yield Demand("numel", origin, x.numel(), x.shape[0] * explicit, by=call.name)


def note_bounds(call: Call, bounds: dict[str, int]) -> None:
    """Note below which number the integers of an input must stay, where they are used as indices."""

    def note(index: Any, size: int) -> None:
        origin = call.recorder.origin(index)
        if origin is None or index.dtype in (torch.bool, torch.uint8) or origin.values == "other":
            return
        for slot in origin.sources:
            bounds[slot] = max(1, min(bounds.get(slot, size), size if origin.values == "own" else 2))

    if call.name in ("embedding", "embedding_bag"):
        note(call.get(0, "input"), call.get(1, "weight").shape[0])
    elif call.name == "one_hot":
        note(call.get(0, "input"), call.get(1, "num_classes", -1) if call.get(1, "num_classes", -1) > 0 else 10)
    elif call.name in ("cross_entropy", "nll_loss") and call.get(0, "input").dim() > 1:
        note(call.get(1, "target"), call.get(0, "input").shape[1])
    elif call.name in INDEXED and len(call.args) > 2:
        dim_at, index_at = INDEXED[call.name]
        if isinstance(call.args[dim_at], int) and isinstance(call.args[index_at], Tensor):
            note(call.args[index_at], call.args[0].shape[call.args[dim_at]])
    elif call.name == "__getitem__":
        x, index = call.args
        axis = 0
        for part in index if isinstance(index, tuple) else (index,):
            if part is Ellipsis:
                break
            if isinstance(part, Tensor) and axis < x.dim() and not part.is_floating_point():
                note(part, x.shape[axis])
            axis += part is not None


def reshape_sizes(call: Call) -> tuple[int, ...]:
    """The sizes that a view or reshape asks for."""
    sizes = call.args[1] if len(call.args) == 2 and isinstance(call.args[1], (tuple, list)) else call.args[1:]
    return tuple(int(size) for size in sizes) if all(isinstance(size, int) for size in sizes) else ()
