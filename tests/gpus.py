"""Marks for tests that run on accelerators: with `pytest -m gpu`, where there are enough of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch


def needs_gpus(count: int = 1) -> Callable[[Any], Any]:
    """A mark for a test that wants so many CUDA devices."""
    here = torch.cuda.device_count()

    def marked(test: Any) -> Any:
        reason = f"needs {count} CUDA device{'s' if count > 1 else ''}, and this machine has {here}"
        return pytest.mark.gpu(pytest.mark.skipif(here < count, reason=reason)(test))

    return marked
