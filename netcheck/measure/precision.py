"""The types of a model's numbers, and what becomes of them in a run.

nn.Linear(8, 8), nn.Linear(8, 8).half()       mixed: runs only in its own types, which forward casts to and from
nn.Parameter(torch.ones(5, dtype=cfloat))     complex128 in a run in float64
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import nn

_COMPLEX = {torch.float64: torch.complex128, torch.float32: torch.complex64}
_PARTS = {torch.complex128: torch.float64, torch.complex64: torch.float32, torch.complex32: torch.float16}


def part_of(dtype: torch.dtype) -> torch.dtype:
    """The type of the real and imaginary parts of a complex type; any other as it is."""
    return _PARTS.get(dtype, dtype)


def converted(dtype: torch.dtype, to: torch.dtype) -> torch.dtype:
    """What a tensor's type becomes in a run in the precision `to`: whole numbers stay."""
    if dtype.is_complex:
        return _COMPLEX.get(to, torch.complex64)
    return to if dtype.is_floating_point else dtype


def own_precisions(model: nn.Module) -> list[torch.dtype]:
    """The floating types of a model's parameters, the most frequent first; float32 of a model without any."""
    counts: Counter[torch.dtype] = Counter()
    for parameter in model.parameters():
        if parameter.dtype.is_floating_point or parameter.dtype.is_complex:
            counts[part_of(parameter.dtype)] += parameter.numel()
    return [dtype for dtype, _ in counts.most_common()] or [torch.float32]


def coarsest(dtypes: list[torch.dtype]) -> torch.dtype:
    """The type that rounds most."""
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)


def narrowest(dtypes: list[torch.dtype]) -> torch.dtype:
    """The type with the smallest range."""
    return min(dtypes, key=lambda dtype: math.log10(torch.finfo(dtype).max))


def real(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor, of a complex one its parts side by side."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
