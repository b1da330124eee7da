"""Accelerators that are not there: everything of netcheck's and most of torch's code runs, on CPU tensors.

Of torch's nn.DataParallel what cannot run here is replaced: the copies between devices, and the streams of parallel_apply.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parallel import scatter_gather

from netcheck.measure import distributed, job
from netcheck.measure.accelerators import Accelerators


class OnCpu(Accelerators):
    """Devices that call themselves accelerators, all of them the CPU."""

    __slots__ = ()

    @property
    def backend(self) -> str:
        return "gloo"

    def device(self, index: int) -> torch.device:
        return torch.device("cpu")

    def use(self, index: int) -> torch.device:
        return self.device(index)


class Scatter:
    """In the place of torch's: the same cut (comm.scatter calls Tensor.chunk), without devices."""

    @staticmethod
    def apply(devices: list[int], sizes: None, dim: int, tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tensor.chunk(len(devices), dim)


class Gather:
    """In the place of torch's: comm.gather concatenates; numbers become a vector."""

    @staticmethod
    def apply(device: int, dim: int, *tensors: torch.Tensor) -> torch.Tensor:
        if all(not tensor.dim() for tensor in tensors):
            return torch.stack(tensors)
        return torch.cat(tensors, dim)


def broadcast(tensors: Sequence[torch.Tensor], devices: Sequence[int], detach: bool = False) -> list[list[torch.Tensor]]:
    """Copies for each device, through which gradients come back."""
    return [[(tensor.detach() if detach else tensor).clone() for tensor in tensors] for _ in devices]


class DataParallel(nn.DataParallel[nn.Module]):
    """torch's own, but for its look at the devices and its threads' streams."""

    def __init__(self, module: nn.Module, device_ids: Sequence[torch.device]) -> None:
        nn.Module.__init__(self)
        self.module, self.dim = module, 0
        self.device_ids, self.output_device = list(range(len(device_ids))), 0
        self.src_device_obj = torch.device("cpu")

    def parallel_apply(self, replicas: Sequence[Any], inputs: Sequence[Any], kwargs: Any) -> list[Any]:
        outcomes: list[Any] = [None] * len(replicas)

        def work(index: int) -> None:
            try:
                with torch.enable_grad():
                    outcomes[index] = replicas[index](*inputs[index], **kwargs[index])
            except Exception as error:
                outcomes[index] = error

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(replicas))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return outcomes


def put_in(monkeypatch: pytest.MonkeyPatch, count: int, kind: str = "cuda") -> None:
    """Give the machine so many accelerators."""
    import sys

    import torch.nn.parallel.replicate  # noqa: F401 - the module: the package has a function of that name

    monkeypatch.setattr(distributed, "accelerators", lambda: OnCpu(kind, count))
    monkeypatch.setattr(distributed, "require_own_driver", lambda: None)  # whatever asked the real one before
    monkeypatch.setattr(job.nn, "DataParallel", DataParallel)
    monkeypatch.setattr(scatter_gather, "Scatter", Scatter)
    monkeypatch.setattr(scatter_gather, "Gather", Gather)
    monkeypatch.setattr(sys.modules["torch.nn.parallel.replicate"], "_broadcast_coalesced_reshape", broadcast)
