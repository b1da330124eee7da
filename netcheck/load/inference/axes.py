"""Which axes of a result are which axes of the inputs, as far as an operation leaves that clear."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from netcheck.load.inference.calls import Call, Origin
from netcheck.load.inference.demands import CONVOLUTION
from netcheck.torch_versions import without_torch_function


def result_axes(call: Call, x: Tensor, origin: Origin, result: Tensor) -> tuple[tuple[str, int] | None, ...]:
    """Which axes of `x` the axes of `result` are, as far as that is clear."""
    axes, name = origin.axes, call.name
    if len(axes) != x.dim():
        return (None,) * result.dim()
    if name in ("permute", "transpose", "swapaxes", "movedim", "unsqueeze", "squeeze", "t", "T", "mT") and call.args:
        return moved_axes(call, x, axes, result)
    if name == "__getitem__":
        return sliced_axes(call.args[1], x, axes, result)
    if name == "embedding":
        return (*axes, None)
    if name == "linear":
        return (*axes[:-1], None)
    if CONVOLUTION.fullmatch(name) and result.dim() == x.dim():
        return (axes[0], *(None,) * (result.dim() - 1))
    if name in ("flatten", "view", "reshape", "unflatten"):
        kept = 0
        while kept < min(x.dim(), result.dim()) and x.shape[kept] == result.shape[kept]:
            kept += 1
        return (*axes[:kept], *(None,) * (result.dim() - kept))
    if result.dim() == x.dim():
        return tuple(axis if a == b else None for axis, a, b in zip(axes, x.shape, result.shape, strict=True))
    return (None,) * result.dim()


def moved_axes(call: Call, x: Tensor, axes: tuple[Any, ...], result: Tensor) -> tuple[Any, ...]:
    """Axes after a transposition: read off a tensor whose sizes are all different."""
    labels = torch.empty([2 * axis + 3 if size != 1 else 1 for axis, size in enumerate(x.shape)], device="meta")
    method = {"T": Tensor.t, "mT": lambda y: y.transpose(-1, -2)}.get(call.name) or getattr(Tensor, call.name)
    try:
        with without_torch_function():
            sizes = method(labels, *call.args[1:], **call.kwargs).shape
    except Exception:
        return (None,) * result.dim()
    return tuple(axes[(size - 3) // 2] if size != 1 else None for size in sizes)


def sliced_axes(index: Any, x: Tensor, axes: tuple[Any, ...], result: Tensor) -> tuple[Any, ...]:
    """Axes after `x[index]` with integers, slices, None and Ellipsis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(part, (Tensor, list)) for part in parts):
        return (None,) * result.dim()
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    found: list[Any] = []
    axis = 0
    for part in parts:
        if part is None:
            found.append(None)
        elif part is Ellipsis:
            found.extend(axes[axis : axis + x.dim() - taken])
            axis += x.dim() - taken
        else:
            if isinstance(part, slice):
                found.append(axes[axis] if part == slice(None) else None)
            axis += 1
    return tuple(found) if len(found) == result.dim() else (None,) * result.dim()
