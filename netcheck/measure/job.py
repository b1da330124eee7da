"""What the ranks of a data-parallel run do with a model, and nn.DataParallel with all devices at once.

    job.step(rank, device)           forward and backward, twice, as one rank of a group: under DistributedDataParallel, or FSDP2
    job.in_parallel(devices)         forward and backward under nn.DataParallel

Of the two steps, the first weights each rank's loss by its samples, so that the mean over ranks which
DistributedDataParallel takes is the whole batch's gradient; the second takes plain means. A parameter that gets no
gradient in the first step makes the second one raise. Under FSDP2 (`fully_shard` of each block, then of the model) gradients
are gathered to be compared. Buffers that come out of the steps with another value on each rank are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from netcheck.load.wrappers import is_distributed
from netcheck.measure.blocks import blocks_of
from netcheck.measure.chance import Chanceless
from netcheck.measure.differences import Loss
from netcheck.trace import structure


@dataclass(frozen=True)
class Job:
    """One batch, whole and in shares.

    Attributes:
        model: a copy of the model, which the ranks may write to, and move.
        run: forward on one rank's arguments, as the floating-point tensors of its output.
        given: the arguments of each rank.
        sizes: each rank's samples.
        loss: of outputs.
        whole: the arguments of the whole batch.
        strategy: "ddp" or "fsdp".
    """

    model: nn.Module
    run: Callable[[nn.Module, Any], list[torch.Tensor]]
    given: Sequence[Any]
    sizes: Sequence[int]
    loss: Loss
    whole: Any
    strategy: str = "ddp"

    @property
    def samples(self) -> int:
        """Of the whole batch."""
        return sum(self.sizes)

    @property
    def synchronizes(self) -> bool:
        """Whether the model has synchronized batch normalization, which wants an accelerator for each rank."""
        return any(isinstance(module, nn.SyncBatchNorm) for module in self.model.modules())

    @property
    def weights(self) -> list[float]:
        """Each rank's share of the samples."""
        return [size / self.samples for size in self.sizes]

    def step(
        self, rank: int, device: torch.device, *, find_unused: bool = False, group: dist.ProcessGroup | None = None
    ) -> dict[str, Any]:
        """Both steps of one rank, within a process group: its outputs, and the gradients that all ranks agree on."""
        start = [0, *accumulate(self.sizes)][rank]
        given = structure.rebuild(self.given[rank], lambda tensor: tensor.to(device))
        found: dict[str, Any] = {}
        with exact_products():
            self.model.to(device)
            if self.strategy == "fsdp":
                wrapped = sharded(self.model, device, group)
            else:
                wrapped = DistributedDataParallel(self.model, find_unused_parameters=find_unused, process_group=group)
            for name, scale in (("weighted", self.weights[rank] * len(self.sizes)), ("plain", 1.0)):
                self.model.zero_grad(set_to_none=True)
                outputs = self.run(wrapped, given)
                loss = self.loss(outputs, start, self.sizes[rank])
                if loss is not None:
                    (loss * scale).backward()
                found.setdefault("outputs", [output.detach().cpu() for output in outputs])
                found[name] = self.gradients()
            found["buffers"] = {name: b.detach().to("cpu", copy=True) for name, b in self.model.named_buffers()}
        return found

    def in_parallel(self, devices: Sequence[torch.device]) -> dict[str, Any]:
        """One step of nn.DataParallel: the gathered outputs, and the gradients.

        What has no batch, as a loss, comes back once for each device; it is averaged by samples.
        """
        first = devices[0]
        given = structure.rebuild(self.whole, lambda tensor: tensor.to(first))
        with exact_products():
            self.model.to(first).zero_grad(set_to_none=True)
            outputs = self.run(nn.DataParallel(Quiet(self.model), list(devices)), given)
            joined = [
                self.averaged(y, cotangent.shape) if axis is None else y
                for y, cotangent, axis in zip(outputs, self.loss.cotangents, self.loss.axes, strict=True)
            ]
            loss = self.loss(joined, 0, self.samples)
            if loss is not None:
                loss.backward()
        return {"outputs": [output.detach().cpu() for output in joined], "gradients": self.gradients()}

    def averaged(self, gathered: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """One value out of the devices' values, which nn.DataParallel puts side by side in dimension 0."""
        if gathered.numel() != len(self.sizes) * shape.numel():
            return gathered
        weights = torch.tensor(self.weights, dtype=gathered.dtype, device=gathered.device)
        average: torch.Tensor = torch.tensordot(weights, gathered.view(len(self.sizes), *shape), dims=1)
        return average

    def gradients(self) -> dict[str, torch.Tensor]:
        """Those of the parameters that have one, copied to the CPU."""
        named = self.model.named_parameters()
        return {name: all_of(p.grad).detach().to("cpu", copy=True) for name, p in named if p.grad is not None}


def sharded(model: nn.Module, device: torch.device, group: dist.ProcessGroup | None) -> nn.Module:
    """The model under FSDP2, each of its blocks by itself and then what is left."""
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import fully_shard

    everybody = group or dist.group.WORLD
    assert everybody is not None  # a job has one step in a process group
    mesh = DeviceMesh.from_group(everybody, device.type)
    for block in blocks_of(model):
        fully_shard(block.module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def all_of(gradient: torch.Tensor) -> torch.Tensor:
    """A gradient, gathered from all ranks where each has a part."""
    return gradient.full_tensor() if is_distributed(gradient) else gradient  # type: ignore[attr-defined]


class Quiet(nn.Module):
    """Runs a model without chance, in whatever thread: modes for functions are each thread's own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives."""
        with Chanceless():
            return self.model(*args, **kwargs)


@contextmanager
def exact_products() -> Iterator[None]:
    """Within this context accelerators multiply numbers of single precision without rounding them further (TF32)."""
    before: list[tuple[Any, bool]] = []
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    for switch in switches:
        with suppress(RuntimeError):  # torch refuses where the user has set the newer `fp32_precision`
            before.append((switch, switch.allow_tf32))
            switch.allow_tf32 = False
    try:
        yield
    finally:
        for switch, value in before:
            switch.allow_tf32 = value
