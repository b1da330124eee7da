"""The windows that convolutions and poolings look through, one for each spatial dimension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from netcheck.trace.question import question

if TYPE_CHECKING:
    from netcheck.trace.node import Node


@dataclass(frozen=True, slots=True)
class Window:
    """One dimension of a sliding window: output o looks at the inputs o * stride - padding + t * dilation."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def extent(self) -> int:
        """From the first input that one output looks at to the last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    def outputs(self, size: int) -> int:
        """How many outputs an input of `size` gives."""
        return max(0, (size + 2 * self.padding - self.extent) // self.stride + 1)

    def seen(self, size: int) -> frozenset[int]:
        """The positions of an input of `size` that some output looks at."""
        return seen(self, size)

    def live_taps(self, size: int) -> int:
        """How many of the kernel's places ever meet an input of `size`, and not only padding."""
        return live_taps(self, size)


@cache  # the layers of a net have few different windows
def seen(window: Window, size: int) -> frozenset[int]:
    """The positions of an input of `size` that some output looks at."""
    starts = (o * window.stride - window.padding for o in range(window.outputs(size)))
    found = {start + t * window.dilation for start in starts for t in range(window.kernel)}
    return frozenset(position for position in found if 0 <= position < size)


@cache
def live_taps(window: Window, size: int) -> int:
    """How many of the window's places ever meet an input of `size`, and not only padding."""
    starts = [o * window.stride - window.padding for o in range(window.outputs(size))]
    return sum(any(0 <= s + t * window.dilation < size for s in starts) for t in range(window.kernel))


@question
def windows_of(node: Node) -> tuple[Window, ...] | None:
    """The windows of a convolution (not a transposed one) or a pooling, outer dimension first; None for anything else."""
    if node.kind not in ("conv", "pool") or node.detail == "transpose" or not node.inputs:
        return None
    if "adaptive" in node.target.lower() or "fractional" in node.target.lower():
        return None
    rank = len(node.inputs[0].shape or ()) - 2
    if rank < 1:
        return None
    fields = settings(node)
    kernel = per_dimension(fields["kernel"], rank)
    if kernel is None:
        return None
    stride = per_dimension(fields["stride"] or fields["kernel"], rank)
    dilation = per_dimension(fields["dilation"], rank)
    padding = padded(fields["padding"], kernel, dilation, rank)
    if stride is None or dilation is None or padding is None:
        return None
    return tuple(Window(*each) for each in zip(kernel, stride, padding, dilation, strict=True))


def settings(node: Node) -> dict[str, Any]:
    """Kernel, stride, padding and dilation as the module has them or the function was given them."""
    if node.kind == "conv":
        weight = node.member("weight") if node.module is not None else node.argument(1, "weight")
        kernel = tuple(getattr(weight, "shape", None) or ())[2:]
        positions = (3, 4, 5)
        stride: Any = 1
    else:
        kernel = node.option("kernel_size", 1)
        positions = (2, 3, 4)
        stride = None
    dilation = node.option("dilation", positions[2], 1) if "avg" not in node.target.lower() else 1
    return {
        "kernel": kernel,
        "stride": node.option("stride", positions[0], stride),
        "padding": node.option("padding", positions[1], 0),
        "dilation": dilation,
    }


def per_dimension(value: Any, rank: int) -> tuple[int, ...] | None:
    """A setting as one number for each dimension; None if it is no such thing."""
    if isinstance(value, int):
        return (value,) * rank
    if isinstance(value, list | tuple) and all(isinstance(each, int) for each in value):
        return tuple(value) * rank if len(value) == 1 else tuple(value) if len(value) == rank else None
    return None


def padded(value: Any, kernel: tuple[int, ...], dilation: tuple[int, ...] | None, rank: int) -> tuple[int, ...] | None:
    """Padding by dimension; of "same" what it comes to in front."""
    if value == "valid":
        return (0,) * rank
    if value == "same" and dilation is not None:
        return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    return per_dimension(value, rank)


def spatial_sizes(node: Node) -> tuple[int, ...]:
    """The sizes of a node's value behind batch and channels."""
    return (node.shape or ())[2:]


def windowed(
    nodes: Iterator[Node] | list[Node],
) -> Iterator[tuple[Node, tuple[Window, ...], tuple[int, ...]]]:
    """The convolutions and poolings among `nodes`, with their windows and the sizes of the maps that they look at."""
    for node in nodes:
        windows = windows_of(node)
        if windows is not None and node.depends and node.live:
            yield node, windows, spatial_sizes(node.inputs[0])
