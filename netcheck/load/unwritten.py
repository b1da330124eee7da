"""Memory that nobody has written to holds NaN while a model is built, so that a weight that is never initialized is seen.

with unwritten_is_nan():
    nn.Parameter(torch.empty(3))        NaN NaN NaN, instead of whatever was in memory: often zeros, now and then not
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from netcheck.torch_versions import set_deterministic


@contextmanager
def unwritten_is_nan() -> Iterator[None]:
    """Have `torch.empty` and `torch.Tensor(n)` give NaN, which PyTorch does in its deterministic mode alone."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have a deterministic implementation")
            set_deterministic(True, warn_only=True)
            deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
            yield
    finally:
        if torch.is_deterministic_algorithms_warn_only_enabled():  # else the user's own code has set it
            set_deterministic(before[0], warn_only=before[1])
        deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
