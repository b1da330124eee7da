"""Run code that sets what belongs to the whole process, and leave that as it was."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import torch

from netcheck.load.randomness import preserved_random_state
from netcheck.torch_versions import FAKE_TENSOR_LOG


@contextlib.contextmanager
def preserved_globals() -> Iterator[None]:
    """Put back the random generators and torch's defaults; drop what the model prints or logs."""
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    log = logging.getLogger(FAKE_TENSOR_LOG)
    disabled, log.disabled = log.disabled, True  # it logs a traceback for each operation that fails
    sink = io.StringIO()
    sink.write = len  # type: ignore[method-assign]  # keeps nothing
    try:
        with (
            preserved_random_state(),
            torch.jit.optimized_execution(False),  # else TorchScript keeps fake tensors as constants of its functions
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = disabled
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
