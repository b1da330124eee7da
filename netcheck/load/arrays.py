"""Tensors in the place of the NumPy arrays that some models take.

def forward(self, state):
    state = torch.from_numpy(state).float()       what an environment gives: with a tensor instead the graph begins here
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch


@contextmanager
def tensors_for_arrays(*, allowed: bool) -> Iterator[None]:
    """Let `torch.from_numpy` hand a tensor through, where `allowed`: nobody gave the inputs. An array it takes as ever."""
    original = torch.from_numpy
    if not allowed:
        yield
        return

    @wraps(original)
    def from_numpy(array: Any) -> torch.Tensor:
        return array if isinstance(array, torch.Tensor) else original(array)

    torch.from_numpy = from_numpy  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.from_numpy = original
