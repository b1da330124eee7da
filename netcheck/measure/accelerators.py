"""The accelerators of this machine, and what ranks of a data-parallel run can stand on.

    accelerators()              Accelerators("cuda", 4)      None where there is none
    accelerators().backend      "nccl"
    CPU.device(3)               torch.device("cpu")          where a rank computes

Counting starts no driver: a process that has started CUDA can no longer be forked into ranks that use it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import torch
import torch.distributed as dist


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


def in_use() -> bool:
    """Whether this process has started an accelerator's driver."""
    return any(module.is_initialized() for module in (torch.cuda, torch.xpu))
