"""Whatever belongs to the process, and not to a model: as before, when code of the user's has run.

    with untouched():              every row of PROCESS is read
        model(x)                   seeds, sets a default dtype, an environment variable, a signal handler ...
                                   ... and what is otherwise than before is put back, also after an exception or Ctrl-C

Every way in stands in one of these as a whole, and in it every run of a model in one of its own: no run finds what
another has left. (What belongs to a model, and what its code can reach besides, `load.held` looks after.)
"""

from __future__ import annotations

import contextlib
import gc
import io
import locale
import logging
import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from netcheck.compiler import set_stance, stance
from netcheck.load.contents import restore, same
from netcheck.load.keeping import Keep, PutBack, attributes, contents, kept, setting
from netcheck.load.randomness import RANDOM
from netcheck.torch_versions import (
    FAKE_TENSOR_LOG,
    MODULE_HOOKS,
    SWITCHES,
    function_modes,
    precisions,
    set_function_modes,
    set_precisions,
)

_backends, _cuda = torch.backends, torch.backends.cuda
_AUTOCAST = ("cpu", "cuda", "xpu", "mps")
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGABRT", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGINT", "SIGPIPE", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]
_SMALLEST = sys.float_info.min  # half of it is a number only where such are not flushed to zero


# ---- of Python ------------------------------------------------------------------------------------------------------------


def working_directory() -> str | None:
    """Where the process is; None where that folder is gone."""
    try:
        return os.getcwd()
    except OSError:
        return None


def go_to(folder: str | None) -> None:
    """Be there again, if it is still there."""
    if folder is not None:
        with contextlib.suppress(OSError):
            os.chdir(folder)


def environment() -> dict[Any, Any]:
    """The environment's variables, as `os.environ` keeps them: to decode each takes a microsecond."""
    return dict(vars(os.environ)["_data"])


def set_environment(before: dict[Any, Any]) -> None:
    """Make the environment's variables these again."""
    variables = {os.environ.decodekey(name): os.environ.decodevalue(value) for name, value in before.items()}
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def signal_handlers() -> list[Any]:
    """What is called for each signal that a program may want to hear."""
    return [signal.getsignal(number) for number in _SIGNALS]


def set_signal_handlers(before: list[Any]) -> None:
    """Put back what `signal_handlers` gave; only the main thread can, and only it can have changed them."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in zip(_SIGNALS, before, strict=True):
        if handler is not None and signal.getsignal(number) != handler:  # None: not one of Python's
            signal.signal(number, handler)


def warning_filters() -> PutBack:
    """What is done about which warning."""
    filters, before = warnings.filters, list(warnings.filters)

    def put_back() -> None:
        if warnings.filters is filters and same(filters, before):
            return
        with warnings.catch_warnings():  # which tells the registries, when it is left, that the filters are others
            warnings.filters = filters
            restore(filters, before)
        warnings.filters = filters

    return put_back


# ---- of torch -------------------------------------------------------------------------------------------------------------


def autocast() -> list[tuple[bool, torch.dtype]]:
    """Of each kind of device: whether autocast is on, and its dtype."""
    return [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in _AUTOCAST]


def set_autocast(before: list[tuple[bool, torch.dtype]]) -> None:
    """Put back what `autocast` gave."""
    for kind, (enabled, dtype) in zip(_AUTOCAST, before, strict=True):
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


def determinism() -> tuple[bool, bool]:
    """Whether only deterministic algorithms are used, and whether others are but warned of."""
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def set_determinism(before: tuple[bool, bool]) -> None:
    """Put back what `determinism` gave."""
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def anomalies() -> tuple[bool, bool]:
    """Whether autograd looks for anomalies, and for NaN."""
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def set_anomalies(before: tuple[bool, bool]) -> None:
    """Put back what `anomalies` gave."""
    torch.autograd.set_detect_anomaly(*before)


def flushes_denormals() -> bool:
    """Whether this thread computes 0 where a number is too small for all its digits; torch does not tell."""
    return math.ldexp(_SMALLEST, 0) * 0.5 == 0.0


def current_gpu() -> PutBack:
    """Which one is meant by "cuda", if the driver was started."""
    if not torch.cuda.is_initialized():
        return lambda: None
    return setting(torch.cuda.current_device, torch.cuda.set_device)()


def numpy_errors() -> PutBack:
    """What NumPy does about a division by zero."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return lambda: None
    return setting(numpy.geterr, lambda before: numpy.seterr(**before))()


def flags(owner: Any, *names: str) -> Iterator[Keep]:
    """Attributes that compute what they give."""
    for name in names:
        yield setting(partial(getattr, owner, name), partial(setattr, owner, name))


def passed(value: Any) -> Any:
    """The value."""
    return value


_Pair = tuple[Callable[[], Any], Callable[[Any], object]]
_PAIRS: dict[str, _Pair] = {
    # The modes come first: as long as another is on, even a comparison of two numbers may be heard.
    "modes and default device": (function_modes, set_function_modes),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "autocast": (autocast, set_autocast),
    "autocast's cache": (torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    "deterministic algorithms": (determinism, set_determinism),
    "anomalies": (anomalies, set_anomalies),
    "warnings of torch": (torch.is_warn_always_enabled, torch.set_warn_always),
    "precision of float32": (precisions, set_precisions),
    "flash attention": (_cuda.flash_sdp_enabled, _cuda.enable_flash_sdp),
    "memory-efficient attention": (_cuda.mem_efficient_sdp_enabled, _cuda.enable_mem_efficient_sdp),
    "plain attention": (_cuda.math_sdp_enabled, _cuda.enable_math_sdp),
    "cuDNN's attention": (_cuda.cudnn_sdp_enabled, _cuda.enable_cudnn_sdp),
    "reductions of plain attention": (_cuda.fp16_bf16_reduction_math_sdp_allowed, _cuda.allow_fp16_bf16_reduction_math_sdp),
    "linear algebra": (_cuda.preferred_linalg_library, _cuda.preferred_linalg_library),
    "matrix products": (_cuda.preferred_blas_library, _cuda.preferred_blas_library),
    "fast path of attention layers": (_backends.mha.get_fastpath_enabled, _backends.mha.set_fastpath_enabled),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "denormal numbers": (flushes_denormals, torch.set_flush_denormal),
    "sharing of tensors": (torch.multiprocessing.get_sharing_strategy, torch.multiprocessing.set_sharing_strategy),
    "compiler": (stance, set_stance),
    **SWITCHES,
    "depth of the stack": (sys.getrecursionlimit, sys.setrecursionlimit),
    "turns of threads": (sys.getswitchinterval, sys.setswitchinterval),
    "collection of garbage": (gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    "thresholds of collection": (gc.get_threshold, lambda before: gc.set_threshold(*before)),
    "working directory": (working_directory, go_to),
    "environment": (environment, set_environment),
    "signals": (signal_handlers, set_signal_handlers),
    "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)),
}

PROCESS: tuple[Keep, ...] = (
    *(setting(*pair) for pair in _PAIRS.values()),
    *flags(_backends.cudnn, "enabled", "benchmark", "deterministic"),
    *flags(_backends.mkldnn, "enabled", "deterministic"),
    *flags(_backends.opt_einsum, "enabled", "strategy"),
    *flags(_backends.quantized, "engine"),
    *flags(torch.utils.deterministic, "fill_uninitialized_memory"),
    *flags(
        _cuda.matmul,
        "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction", "allow_fp16_accumulation",
    ),
    *(contents(partial(passed, hooks)) for hooks in MODULE_HOOKS),
    *attributes(sys, "stdin", "stdout", "stderr", "path", "argv", "excepthook", "displayhook", "dont_write_bytecode"),
    contents(lambda: sys.path),
    contents(lambda: sys.argv),
    contents(lambda: sys.meta_path),
    *attributes(logging.root, "level", "disabled", "handlers"),
    contents(lambda: logging.root.handlers),
    *attributes(logging.root.manager, "disable"),
    *attributes(warnings, "showwarning", "formatwarning"),
    *attributes(threading, "excepthook"),
    warning_filters,
    numpy_errors,
    current_gpu,
    *RANDOM,
)  # fmt: skip


_ONE_AT_A_TIME = threading.RLock()  # two threads that do this in turn would each put back what the other has set


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Leave all that belongs to the process as it is."""
    with _ONE_AT_A_TIME, kept(PROCESS):
        yield


@contextlib.contextmanager
def silent_fakes() -> Iterator[None]:
    """Keep PyTorch from logging a traceback where fake tensors meet an operation that has no meta kernel."""
    log = logging.getLogger(FAKE_TENSOR_LOG)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Drop what is printed, warned of, or logged about fake tensors."""
    sink = io.StringIO()
    sink.write = len  # type: ignore[method-assign]  # keeps nothing
    with (
        silent_fakes(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """What `torch.zeros(3)` inside forward makes."""
    with kept([setting(torch.get_default_dtype, torch.set_default_dtype)]):
        torch.set_default_dtype(dtype)
        yield
