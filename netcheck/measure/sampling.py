"""Statistics of tensors for little: of each, some evenly spread numbers, all looked at together at the end of a pass.

A pass of a large net makes gigabytes of activations. Reading each once more would cost as much as the elementwise part of
the net; 1,024 numbers give an rms to 2.2 % (0.01 decades), and a tensor's samples are copied by one operation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch

from netcheck.measure.precision import real

MOST = 1_024  # numbers taken of one tensor
MOST_PER_UNIT = 64  # of those that decide whether a unit is dead; but at least one of each sample


def sampled(tensor: torch.Tensor) -> torch.Tensor:
    """`MOST` evenly spread numbers of a tensor, or all that it has, as a flat copy: the tensor may be written to later."""
    return picked(tensor.detach()).clone()


def picked(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, as a view where there can be one."""
    size = tensor.numel()
    if size <= MOST:
        return tensor.reshape(-1)
    step = step_through(tensor.shape, tensor.stride()) if tensor.layout is torch.strided else 0
    if step:
        return tensor.as_strided((MOST,), (step,))
    return tensor.reshape(-1)[:: size // MOST][:MOST]


@lru_cache(maxsize=4096)
def step_through(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How far apart in memory `MOST` numbers may lie; 0 if the tensor does not fill one stretch of memory.

    It may be contiguous, channels last or transposed. The step shares no factor with any dimension: it meets every channel
    and position.
    """
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size > 1:
            if stride != expected:
                return 0
            expected *= size
    step = math.prod(shape) // MOST
    while any(size > 1 and math.gcd(step, size) > 1 for size in shape):
        step -= 1
    return step


def thinned(tensor: torch.Tensor, most: int, keep: Sequence[int] = ()) -> torch.Tensor:
    """A view with about `most` numbers or fewer: every k-th of each dimension, not from its edge, but all of those in `keep`."""
    free = [dim for dim in range(tensor.dim()) if dim not in keep and tensor.shape[dim] > 1]
    kept = math.prod(tensor.shape[dim] for dim in keep)
    for position, dim in enumerate(reversed(free)):
        excess = tensor.numel() / max(most, kept)
        if excess <= 1:
            break
        left = len(free) - position
        size = tensor.shape[dim]
        step = min(size, math.ceil(excess ** (1 / left)))
        tensor = tensor[(slice(None),) * dim + (slice((size - 1) % step // 2, None, step),)]
    return tensor


def largest(value: torch.Tensor, units: int) -> torch.Tensor:
    """The largest magnitude of each unit along the dimension `units`, among some numbers of every sample: 0 of a dead one."""
    count = value.shape[units]
    looked_at = thinned(value.detach(), MOST_PER_UNIT * count, keep=(units % value.dim(), 0))
    rows = looked_at.movedim(units, -1).reshape(-1, count)  # (numbers, units): read along what lies together
    return torch.maximum(rows.amax(0), -rows.amin(0))  # (units,), without a copy for the magnitudes


def moments(samples: Sequence[torch.Tensor]) -> tuple[list[float], list[float]]:
    """(mean, rms) of each of some flat tensors on the CPU; computed in float64, where no square underflows."""
    of_size: dict[int, list[int]] = {}
    for number, sample in enumerate(samples):
        of_size.setdefault(sample.numel(), []).append(number)
    means, roots = [0.0] * len(samples), [0.0] * len(samples)
    for size, members in of_size.items():
        rows = torch.stack([samples[number] for number in members]).to(torch.float64)  # (members, size)
        middles = rows.mean(1).tolist()
        lengths = torch.linalg.vector_norm(rows, dim=1).tolist()
        for number, middle, length in zip(members, middles, lengths, strict=True):
            means[number], roots[number] = middle, length / math.sqrt(max(1, size))
    return means, roots


def norm(tensor: torch.Tensor) -> torch.Tensor:
    """The Euclidean norm of all numbers: of a float32 tensor without underflow of the squares."""
    wide = torch.float32 if tensor.device.type == "mps" else torch.float64
    length: torch.Tensor = torch.linalg.vector_norm(real(tensor.detach()), dtype=wide)
    return length
