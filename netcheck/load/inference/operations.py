"""What a failed torch call asks of its operands, operation by operation.

    F.conv2d(x, weight)   x (2, 8, 9, 9), weight (64, 3, 7, 7)   ->  Demand("size", x, have 8, want 3, axis 1)

`HANDLERS` is the table; an operation that is not in it is read as one whose operands should broadcast.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from netcheck.load.inference.demands import PRODUCTS, Demand, reshape_sizes

if TYPE_CHECKING:
    from netcheck.load.inference.calls import Call, Operand


def of_call(call: Call, error: BaseException) -> list[Demand]:
    """What the operands of a failed call should have been, best guess first."""
    found: list[Demand] = []
    handler = HANDLERS.get(call.name)
    readers: list[Handler] = [handler] if handler is not None else []
    readers.append(lambda call: by_message(call, str(error)))
    if not call.name.startswith("embedding"):
        readers.append(mismatched)
    for read in readers:
        if read is mismatched and found:
            break
        try:
            found.extend(read(call))
        except (AttributeError, TypeError, IndexError, ValueError, ArithmeticError):
            continue  # an unusual way to call it: the next reader may know
    return list(dict.fromkeys(replace(demand, operation=call.name) for demand in found))


def convolution(call: Call) -> Iterator[Demand]:
    """Rank, then channels, then a spatial size that the kernel fits in."""
    x, weight = call.operand(call.get(0, "input")), call.get(1, "weight")
    transposed = "transpose" in call.name
    groups = call.get(6, "groups", 1)
    channels = weight.shape[0] if transposed else weight.shape[1] * groups
    by = call.recorder.parameters.get(id(weight), call.name)
    rank = weight.dim()
    if x.tensor.dim() != rank:
        yield Demand("rank", x.origin, x.tensor.dim(), rank, by=by, weight=True)
    elif x.tensor.shape[1] != channels:
        yield Demand("size", x.origin, x.tensor.shape[1], channels, axis=1, by=by, weight=True)
    else:
        small = [axis for axis in range(2, rank) if x.tensor.shape[axis] < weight.shape[axis]]
        yield from (Demand("larger", x.origin, None, None, axis=axis, by=by) for axis in small)
        yield Demand("larger", x.origin, None, None, by=by)


def linear(call: Call) -> Iterator[Demand]:
    """The last axis."""
    x, weight = call.operand(call.get(0, "input")), call.get(1, "weight")
    by = call.recorder.parameters.get(id(weight), "linear")
    if x.tensor.dim() == 0:
        yield Demand("rank", x.origin, 0, 2, by=by)
    else:
        yield Demand("size", x.origin, x.tensor.shape[-1], weight.shape[1], axis=x.tensor.dim() - 1, by=by, weight=True)


def product(call: Call) -> Iterator[Demand]:
    """The axes that are summed over, then the batch axes."""
    a, b = call.operands()[-2:]
    if call.name == "__rmatmul__":
        a, b = b, a
    inner = max(0, b.tensor.dim() - 2)
    weight = bool(a.parameter or b.parameter)
    yield from pair(a, a.tensor.dim() - 1, b, inner, weight=weight)
    for axis in range(min(a.tensor.dim(), b.tensor.dim()) - 2):
        yield from pair(a, axis, b, axis)


def pair(a: Operand, a_axis: int, b: Operand, b_axis: int, *, weight: bool = False) -> Iterator[Demand]:
    """Two axes that should be equal: the one that depends on an input follows the other."""
    a_size, b_size = a.tensor.shape[a_axis], b.tensor.shape[b_axis]
    if a_size == b_size:
        return
    if a.origin is not None:
        yield Demand("size", a.origin, a_size, b_size, axis=a_axis, by=b.parameter, weight=weight)
    if b.origin is not None:
        yield Demand("size", b.origin, b_size, a_size, axis=b_axis, by=a.parameter, weight=weight)


def mismatched(call: Call) -> Iterator[Demand]:
    """Axes that do not broadcast, for any call on several tensors."""
    operands = call.operands()
    for i, a in enumerate(operands):
        for b in operands[i + 1 :]:
            yield from aligned_ranks(a, b)
            for back in range(1, min(a.tensor.dim(), b.tensor.dim()) + 1):
                if 1 not in (a.tensor.shape[-back], b.tensor.shape[-back]):
                    yield from pair(
                        a,
                        a.tensor.dim() - back,
                        b,
                        b.tensor.dim() - back,
                        weight=bool(a.parameter or b.parameter),
                    )
            if a.tensor.dim() != b.tensor.dim():
                for x, other in ((a, b), (b, a)):
                    if x.origin is not None and other.tensor.dim() > 0 and x.tensor.dim() > 0:
                        yield Demand("rank", x.origin, x.tensor.dim(), other.tensor.dim(), by=call.name)


def aligned_ranks(a: Operand, b: Operand) -> Iterator[Demand]:
    """An input with fewer axes than what it is combined with (a mask of a batch) may lack some."""
    for x, other in ((a, b), (b, a)):
        if x.origin is not None and x.origin.is_whole and 1 < x.tensor.dim() < other.tensor.dim():
            yield Demand("rank", x.origin, x.tensor.dim(), other.tensor.dim(), by="broadcasting")


def concatenation(call: Call) -> Iterator[Demand]:
    """All axes but the joined one."""
    parts = [call.operand(part) for part in tensors(call.get(0, "tensors"))]
    dim = call.get(1, "dim", call.kwargs.get("axis", 0))
    for i, a in enumerate(parts):
        for b in parts[i + 1 :]:
            if a.tensor.dim() != b.tensor.dim():
                # Beside features, numbers without any lack theirs.
                for x, other in sorted(((a, b), (b, a)), key=lambda each: each[0].tensor.dim() > 1):
                    if x.origin is not None:
                        yield Demand("rank", x.origin, x.tensor.dim(), other.tensor.dim(), by=call.name)
                continue
            joined = dim % a.tensor.dim() if call.name != "stack" and a.tensor.dim() else -1
            for axis in range(a.tensor.dim()):
                if axis != joined:
                    yield from pair(a, axis, b, axis)


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a list."""
    return [part for part in value if isinstance(part, Tensor)]


def reshape(call: Call) -> Iterator[Demand]:
    """The number of elements."""
    x, sizes = call.operand(call.args[0]), reshape_sizes(call)
    have, explicit = x.tensor.numel(), math.prod(size for size in sizes if size != -1)
    if call.name == "unflatten":
        dim, sizes = call.args[1], tuple(call.args[2])
        explicit = math.prod(size for size in sizes if size != -1)
        have = x.tensor.shape[dim]
        yield Demand("size", x.origin, have, explicit, axis=dim % x.tensor.dim(), by="unflatten")
        return
    if -1 not in sizes:
        yield Demand("numel", x.origin, have, explicit, by=call.name)
    elif sizes[0] == -1:
        yield Demand("numel", x.origin, have, x.tensor.shape[0] * explicit, by=call.name)
    if -1 in sizes and explicit:
        below = have // explicit * explicit
        yield from (Demand("numel", x.origin, have, want, by=call.name) for want in (below + explicit, below) if want)


def splitting(call: Call) -> Iterator[Demand]:
    """An axis that is there, as long as the parts together."""
    x, sizes = (
        call.operand(call.args[0]),
        call.get(1, "split_size_or_sections", call.kwargs.get("split_size")),
    )
    dim, rank = call.get(2, "dim", 0), x.tensor.dim()
    if not -rank <= dim < rank:
        yield Demand("rank", x.origin, rank, dim + 1 if dim >= 0 else max(2, -dim), by=call.name)
        return
    axis = dim % rank
    if isinstance(sizes, (list, tuple)):
        yield Demand("size", x.origin, x.tensor.shape[axis], sum(sizes), axis=axis, by=call.name)


def cell(call: Call) -> Iterator[Demand]:
    """(batch, features) for the input and (batch, hidden) for each state, as the two weights have them."""
    states = call.args[1] if isinstance(call.args[1], (list, tuple)) else [call.args[1]]
    input_weight, state_weight = call.args[2], call.args[3]
    for tensor, weight in ((call.args[0], input_weight), *((state, state_weight) for state in states)):
        x, by = call.operand(tensor), call.recorder.parameters.get(id(weight), call.name)
        if tensor.dim() != 2:
            yield Demand("rank", x.origin, tensor.dim(), 2, by=by, weight=True)
        elif tensor.shape[1] != weight.shape[1]:
            yield Demand("size", x.origin, tensor.shape[1], weight.shape[1], axis=1, by=by, weight=True)


def normalization(call: Call) -> Iterator[Demand]:
    """Channels on axis 1 as the statistics or the weight have them."""
    x = call.operand(call.get(0, "input"))
    weight = next((o for o in call.operands() if o.parameter and o.tensor.dim() == 1), None)
    if weight is not None and x.tensor.dim() > 1:
        yield Demand(
            "size",
            x.origin,
            x.tensor.shape[1],
            weight.tensor.shape[0],
            axis=1,
            by=weight.parameter,
            weight=True,
        )


def trailing(call: Call) -> Iterator[Demand]:
    """The last axes as normalized_shape has them."""
    x, shape = call.operand(call.get(0, "input")), tuple(call.get(1, "normalized_shape"))
    by = next((o.parameter for o in call.operands() if o.parameter), call.name)
    if x.tensor.dim() < len(shape):
        yield Demand("rank", x.origin, x.tensor.dim(), len(shape) + 1, by=by)
        return
    for back in range(1, len(shape) + 1):
        if x.tensor.shape[-back] != shape[-back]:
            axis = x.tensor.dim() - back
            yield Demand("size", x.origin, x.tensor.shape[-back], shape[-back], axis=axis, by=by, weight=True)


def subscript(call: Call) -> Iterator[Demand]:
    """Enough axes, enough entries, integers for indices."""
    x, index = call.operand(call.args[0]), call.args[1]
    parts = list(index) if isinstance(index, tuple) else [index]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    if taken > x.tensor.dim():
        yield Demand("rank", x.origin, x.tensor.dim(), taken, by="a subscript")
        return
    axis = 0
    for part in parts:
        if part is Ellipsis:
            break
        if isinstance(part, int) and not -x.tensor.shape[axis] <= part < x.tensor.shape[axis]:
            want = part + 1 if part >= 0 else -part
            yield Demand("longer", x.origin, x.tensor.shape[axis], want, axis=axis, by="a subscript")
        if isinstance(part, Tensor) and part.is_floating_point():
            yield Demand("dtype", call.recorder.origin(part), part.dtype, torch.int64, by="a subscript")
        elif isinstance(part, Tensor) and part.dtype is torch.bool:
            for offset in range(part.dim()):
                yield from pair(call.operand(part), offset, x, axis + offset)
        axis += part is not None


def indexing(call: Call) -> Iterator[Demand]:
    """Whole numbers; one axis of them, as many as there are rows to add."""
    dim, index = call.get(1, "dim"), call.operand(call.get(2, "index"))
    source = call.get(3, "source") if call.name.startswith(("index_add", "index_copy")) else None
    if index.tensor.is_floating_point():
        yield Demand("dtype", index.origin, index.tensor.dtype, torch.int64, by=call.name)
    if index.tensor.dim() != 1:
        yield Demand("rank", index.origin, index.tensor.dim(), 1, by=call.name)
    elif isinstance(source, Tensor) and isinstance(dim, int):
        yield from pair(index, 0, call.operand(source), dim % source.dim())


def lengths(call: Call) -> Iterator[Demand]:
    """How long each sample is: one whole number for each."""
    counts = call.operand(call.get(1, "lengths"))
    if counts.tensor.is_floating_point():
        yield Demand("dtype", counts.origin, counts.tensor.dtype, torch.int64, by=call.name)
    if counts.tensor.dim() != 1:
        yield Demand("rank", counts.origin, counts.tensor.dim(), 1, by=call.name)
    packed = call.operand(call.get(0, "input"))
    if not call.get(2, "batch_first", False) and packed.tensor.shape[:1] == counts.tensor.shape != packed.tensor.shape[1:2]:
        yield Demand("swap", packed.origin, 0, 1, by=call.name)
    yield Demand("lengths", counts.origin, None, None, by=call.name)


def permutation(call: Call) -> Iterator[Demand]:
    """As many axes as are named."""
    x = call.operand(call.args[0])
    order = call.args[1] if isinstance(call.args[1], (tuple, list)) else call.args[1:]
    if len(order) != x.tensor.dim():
        yield Demand("rank", x.origin, x.tensor.dim(), len(order), by="permute")


def einsum(call: Call) -> Iterator[Demand]:
    """One axis per letter, one size per letter."""
    operands = [
        call.operand(part) for part in tensors(call.args[1] if isinstance(call.args[1], (list, tuple)) else call.args[1:])
    ]
    terms = call.args[0].replace(" ", "").split("->")[0].split(",")
    where: dict[str, tuple[Operand, int]] = {}
    for term, operand in zip(terms, operands, strict=False):
        if "." in term:
            continue
        if len(term) != operand.tensor.dim():
            yield Demand("rank", operand.origin, operand.tensor.dim(), len(term), by="einsum")
            continue
        for axis, letter in enumerate(term):
            other, other_axis = where.setdefault(letter, (operand, axis))
            yield from pair(operand, axis, other, other_axis, weight=bool(operand.parameter or other.parameter))


def loss(call: Call) -> Iterator[Demand]:
    """Targets as the predictions have them."""
    x, target = call.get(0, "input"), call.operand(call.get(1, "target"))
    if call.name in ("cross_entropy", "nll_loss"):
        if target.tensor.is_floating_point():
            yield Demand("dtype", target.origin, target.tensor.dtype, torch.int64, by=call.name)
        elif target.tensor.dim() != max(x.dim() - 1, 0):
            yield Demand("rank", target.origin, target.tensor.dim(), max(x.dim() - 1, 0), by=call.name)
        else:
            axes = [0, *range(2, x.dim())]
            for axis, at in enumerate(axes):
                yield from pair(target, axis, call.operand(x), at)
    elif target.tensor.shape != x.shape:
        yield Demand("shape", target.origin, tuple(target.tensor.shape), tuple(x.shape), by=call.name)


def pooling(call: Call) -> Iterator[Demand]:
    """Rank, then a size that the window fits in."""
    x = call.operand(call.get(0, "input"))
    match = re.search(r"([123])d", call.name)
    rank = int(match[1]) + 2 if match else x.tensor.dim()
    if x.tensor.dim() not in (rank, rank - 1):
        yield Demand("rank", x.origin, x.tensor.dim(), rank, by=call.name)
    else:
        yield Demand("larger", x.origin, None, None, by=call.name)


def resampling(call: Call) -> Iterator[Demand]:
    """As many spatial axes as sizes are given, beside the batch and the channels; an image if nothing says."""
    x, sizes = call.operand(call.get(0, "input")), call.get(1, "size") or call.get(2, "scale_factor")
    rank = 2 + (len(sizes) if isinstance(sizes, (tuple, list)) else 2)
    if x.tensor.dim() != rank:
        yield Demand("rank", x.origin, x.tensor.dim(), rank, by=call.name)


def by_message(call: Call, message: str) -> Iterator[Demand]:
    """What torch's own words say: an axis out of range, a dtype."""
    tracked = [operand for operand in call.operands() if operand.origin is not None]
    out_of_range = re.search(r"Dimension out of range \(expected to be in range of \[(-\d+), (\d+)\], but got (-?\d+)\)", message)
    if out_of_range:
        wanted = int(out_of_range[3])
        for operand in tracked:
            if operand.tensor.dim() <= int(out_of_range[2]) + 1:
                yield Demand(
                    "rank",
                    operand.origin,
                    operand.tensor.dim(),
                    wanted + 1 if wanted >= 0 else -wanted,
                    by=call.name,
                )
    wanted_dtype = None
    if re.search(r"\b(Long|int64|int32/int64|IntTensor|index tensor|Integer|integral|indices)\b", message):
        wanted_dtype = torch.int64
    if re.search(r"\b(bool|Bool|boolean|Boolean)\b", message):
        wanted_dtype = torch.bool
    for operand in tracked:
        if wanted_dtype is not None and operand.tensor.is_floating_point():
            yield Demand("dtype", operand.origin, operand.tensor.dtype, wanted_dtype, by=call.name)
        elif not operand.tensor.is_floating_point() and re.search(r"\b(dtype|scalar type|floating|Float|Long|Bool)\b", message):
            yield Demand("dtype", operand.origin, operand.tensor.dtype, "float", by=call.name)
    if re.search(r"[Pp]adding size should be less|too small|smaller than|Kernel size", message):
        for operand in tracked:
            yield Demand("larger", operand.origin, None, None, by=call.name)


Handler = Callable[["Call"], Iterator[Demand]]
HANDLERS: dict[str, Handler] = {
    "linear": linear,
    "bilinear": mismatched,
    "layer_norm": trailing,
    "rms_norm": trailing,
    "batch_norm": normalization,
    "group_norm": normalization,
    "instance_norm": normalization,
    "__getitem__": subscript,
    "permute": permutation,
    "einsum": einsum,
    **dict.fromkeys(("interpolate", "upsample"), resampling),
    **dict.fromkeys(("index_add", "index_add_", "index_copy", "index_copy_", "index_select"), indexing),
    "_pack_padded_sequence": lengths,
    "stack": concatenation,
    **dict.fromkeys(("split", "split_with_sizes"), splitting),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), cell),
    **dict.fromkeys(("cat", "concat", "concatenate"), concatenation),
    **dict.fromkeys(("view", "reshape", "unflatten"), reshape),
    **dict.fromkeys(PRODUCTS, product),
    **dict.fromkeys((f"conv{n}d" for n in (1, 2, 3)), convolution),
    **dict.fromkeys((f"conv_transpose{n}d" for n in (1, 2, 3)), convolution),
    **dict.fromkeys(
        (f"{kind}_pool{n}d" for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)),
        pooling,
    ),
    **dict.fromkeys(("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "binary_cross_entropy"), loss),
    **dict.fromkeys(("binary_cross_entropy_with_logits", "smooth_l1_loss", "huber_loss", "kl_div"), loss),
}
