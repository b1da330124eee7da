"""The accelerators of this machine, and what ranks of a data-parallel run can stand on.

    accelerators()              Accelerators("cuda", 4)      None where there is none
    accelerators().backend      "nccl"
    CPU.device(3)               torch.device("cpu")          where a rank computes

Counting starts no driver: a process that has started CUDA can no longer be forked into ranks that use it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
import torch.distributed as dist

from netcheck.torch_versions import in_bad_fork

_QUIET_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


@dataclass(frozen=True, slots=True)
class Accelerators:
    """Devices of one kind.

    Attributes:
        kind: "cuda" (AMD's too), "xpu", "mps"; "cpu" for the processor, which any number of ranks share.
        count: how many.
    """

    kind: str
    count: int

    @property
    def backend(self) -> str:
        """What torch.distributed talks over between them; "" if nothing here does."""
        name = dist.Backend.default_device_backend_map.get(self.kind, "") if dist.is_available() else ""
        return name if name and dist.is_backend_available(name) else ""

    def device(self, index: int) -> torch.device:
        """One of them."""
        return torch.device("cpu") if self.kind == "cpu" else torch.device(self.kind, index)

    def use(self, index: int) -> torch.device:
        """One of them, on which this process will work from now on."""
        if self.kind != "cpu":
            require_own_driver()
            torch.accelerator.set_device_index(index)
        return self.device(index)

    def __str__(self) -> str:
        return f"{self.count} accelerator{'' if self.count == 1 else 's'} here, {self.kind}"


CPU = Accelerators("cpu", 0)


def accelerators() -> Accelerators | None:
    """Those of this machine that torch can use; None without any."""
    with suppress(Exception):  # a driver that does not fit the installed torch
        kind = torch.accelerator.current_accelerator()
        count = torch.accelerator.device_count()
        if kind is not None and count:
            return Accelerators(kind.type, count)
    return None


def count_accelerators() -> int:
    """How many accelerators this machine has."""
    found = accelerators()
    return found.count if found else 0


@contextmanager
def drivers_at_rest() -> Iterator[None]:
    """Within this context torch looks for CUDA devices without starting the driver (it asks NVML), whoever has it look.

    torch.cuda.is_available() starts it otherwise: models ask that when they are built, and torch does before it fakes tensors.
    """
    before = os.environ.get(_QUIET_CHECK)
    os.environ[_QUIET_CHECK] = before or "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_QUIET_CHECK, None)


def require_own_driver() -> None:
    """Make sure that this process, which was forked, can use accelerators.

    Raises:
        RuntimeError: the process that it was forked from has started the driver.
    """
    if in_bad_fork():
        raise RuntimeError(
            f"this process has looked for accelerators before, and cannot start others on them (with {_QUIET_CHECK}=1 "
            "in the environment looking is harmless)"
        )


def in_use() -> bool:
    """Whether this process has started an accelerator's driver."""
    return any(module.is_initialized() for module in (torch.cuda, torch.xpu))
