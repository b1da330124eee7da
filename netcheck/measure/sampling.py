"""Statistics of tensors for little: of each, some evenly spread numbers, all looked at together at the end of a pass.

A pass of a large net makes gigabytes of activations. Reading each once more would cost as much as the elementwise part of
the net; 16,384 numbers give an rms to half a percent (0.002 decades), and a tensor's samples are copied by one operation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

MOST = 16_384  # numbers taken of one tensor
MOST_PER_UNIT = 1_024  # of those that decide whether a unit is dead


def sampled(tensor: torch.Tensor) -> torch.Tensor:
    """Up to `MOST` evenly spread numbers of a tensor, as a flat copy."""
    tensor = tensor.detach()
    size = tensor.numel()
    if size <= MOST:
        return tensor.flatten().clone()
    if is_dense(tensor):
        step = coprime(math.ceil(size / MOST), tensor.shape)
        return torch.as_strided(tensor, (size // step,), (step,), tensor.storage_offset()).clone()
    return thinned(tensor, MOST).flatten()


def is_dense(tensor: torch.Tensor) -> bool:
    """Whether the numbers fill one stretch of memory, in whatever order: contiguous, channels last, transposed."""
    if tensor.layout is not torch.strided:
        return False
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride != expected:
                return False
            expected *= size
    return True


def coprime(step: int, shape: Sequence[int]) -> int:
    """The next number from `step` on that shares no factor with any dimension: it meets every channel and position."""
    while any(size > 1 and math.gcd(step, size) > 1 for size in shape):
        step += 1
    return step


def thinned(tensor: torch.Tensor, most: int, keep: Sequence[int] = ()) -> torch.Tensor:
    """A view with about `most` numbers or fewer: every k-th of each dimension, but all of those in `keep`."""
    free = [dim for dim in range(tensor.dim()) if dim not in keep and tensor.shape[dim] > 1]
    kept = math.prod(tensor.shape[dim] for dim in keep)
    for position, dim in enumerate(reversed(free)):
        excess = tensor.numel() / max(most, kept)
        if excess <= 1:
            break
        left = len(free) - position
        step = min(tensor.shape[dim], math.ceil(excess ** (1 / left)))
        tensor = tensor[(slice(None),) * dim + (slice(None, None, step),)]
    return tensor


def dead_share(value: torch.Tensor, units: int) -> torch.Tensor:
    """The share of the units along the dimension `units` whose values are all 0, as a tensor of no dimension."""
    count = value.shape[units]
    looked_at = thinned(value.detach(), MOST_PER_UNIT * count, keep=(units % value.dim(), 0))
    others = [dim for dim in range(value.dim()) if dim != units % value.dim()]
    alive = (looked_at != 0).any(dim=others) if others else looked_at != 0  # (units,)
    return 1 - alive.to(torch.float32).mean()


def moments(samples: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, rms) of each flat sample, as tensors (n,) of float64 (float32 where the device has none)."""
    if not samples:
        return torch.zeros(0), torch.zeros(0)
    means, roots = [], []
    for sample in samples:
        wide = sample.to(widest(sample.device))
        means.append(wide.mean())
        roots.append(torch.linalg.vector_norm(wide) / math.sqrt(max(1, wide.numel())))
    return torch.stack(means), torch.stack(roots)


def widest(device: torch.device) -> torch.dtype:
    """The widest float that a device computes in."""
    return torch.float32 if device.type == "mps" else torch.float64


def norms(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The Euclidean norm of each tensor, (n,): of a float32 one without underflow of the squares."""
    if not tensors:
        return torch.zeros(0)
    wide = widest(tensors[0].device)
    return torch.stack([torch.linalg.vector_norm(tensor, dtype=wide) for tensor in tensors])
