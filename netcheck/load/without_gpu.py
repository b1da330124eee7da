"""Code that asks for a GPU by name, where there is none: what it would move there stays on the CPU.

net.cuda(), x.to("cuda:0"), torch.zeros(3, device="cuda")     the same on the CPU
torch.cuda.FloatTensor(2, 3)                                  torch.FloatTensor(2, 3)
torch.cuda.set_device(0), torch.cuda.synchronize()            nothing

Only a check that failed for want of a GPU is made so, once more: all others run as the user's own process would.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from netcheck.torch_versions import TorchFunctionMode

LACKS = (
    "Torch not compiled with CUDA enabled",
    "Found no NVIDIA driver",
    "No CUDA GPUs are available",
    "Cannot re-initialize CUDA in forked subprocess",  # a process that looked for a driver before it forked: its child has none
)
TYPES = tuple(f"{kind}Tensor" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Byte", "Char", "Bool"))
SILENT = ("set_device", "synchronize", "empty_cache", "reset_peak_memory_stats")
SAID = "asks for a GPU, and there is none here: it was run on the CPU"


def lacks_gpu(text: str) -> bool:
    """Whether what was raised says that there is no GPU."""
    return any(said in text for said in LACKS)


class OnTheCpu(TorchFunctionMode):
    """Has each call of torch that names a GPU mean the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, on the CPU."""
        name = getattr(func, "__name__", "")
        if name == "cuda" and args and isinstance(args[0], Tensor):
            return args[0]
        by_number = name == "to"
        here = [here_for(one, by_number=by_number and place == 1) for place, one in enumerate(args)]
        return func(*here, **{key: here_for(one, by_number=key == "device") for key, one in (kwargs or {}).items()})


def here_for(value: Any, *, by_number: bool) -> Any:
    """An argument with the CPU for a GPU."""
    if isinstance(value, torch.device) and value.type == "cuda":
        return torch.device("cpu")
    if isinstance(value, str) and (value == "cuda" or value.startswith("cuda:")):
        return "cpu"
    if isinstance(value, str) and value.startswith("torch.cuda."):
        return value.replace("torch.cuda.", "torch.", 1)
    return "cpu" if by_number and type(value) is int else value


class Nowhere(contextlib.nullcontext[None]):
    """In the place of `torch.cuda.device(0)`."""


@contextmanager
def on_the_cpu() -> Iterator[None]:
    """Have code that names a GPU run on the CPU."""
    stands: dict[str, Any] = {name: getattr(torch, name) for name in TYPES}
    stands |= {name: lambda *_, **__: None for name in SILENT}
    stands |= {"device": Nowhere, "current_device": lambda: 0}
    before = {name: vars(torch.cuda)[name] for name in stands if name in vars(torch.cuda)}
    vars(torch.cuda).update({name: stands[name] for name in before})
    try:
        with OnTheCpu():
            yield
    finally:
        vars(torch.cuda).update(before)
