"""The shards under a real DistributedDataParallel: over gloo, in processes of our own or in those that torchrun started.

    forked(job, "…")      each rank: Job.step(rank, group)        process group through a file
    joined(job, launch)   this process is one rank of several     process group through the launcher's store

Every rank makes two steps. In the first its loss is weighted by its samples, so that the mean over ranks which
DistributedDataParallel takes is the whole batch's gradient; in the second it is a plain mean. A parameter that gets no
gradient in the first step makes the second one raise.
"""

from __future__ import annotations

import importlib
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from netcheck.launch import Launch
from netcheck.measure.ranks import Outcome, can_fork, run_ranks

SECONDS = 60.0  # for all of it
WAIT_SECONDS = 20.0  # that one rank waits for another
MOST_RANKS = 8  # processes that are started here
UNFINISHED = "Expected to have finished reduction"


@dataclass(frozen=True)
class Job:
    """What the ranks do together.

    Attributes:
        model: a copy of the model, which the ranks may write to.
        run: forward on one rank's arguments, as the floating-point tensors of its output.
        given: the arguments of each rank.
        weights: each rank's share of the samples.
        loss: of a rank's outputs: their mean over its samples against the cotangent.
    """

    model: nn.Module
    run: Callable[[nn.Module, Any], list[torch.Tensor]]
    given: Sequence[Any]
    weights: Sequence[float]
    loss: Callable[[Sequence[torch.Tensor], int], torch.Tensor | None]

    def step(self, rank: int, *, find_unused: bool) -> dict[str, Any]:
        """Both steps of one rank, within a process group."""
        wrapped = DistributedDataParallel(self.model, find_unused_parameters=find_unused)
        found: dict[str, Any] = {}
        for name, scale in (("weighted", self.weights[rank] * len(self.weights)), ("plain", 1.0)):
            self.model.zero_grad(set_to_none=True)
            outputs = self.run(wrapped, self.given[rank])
            loss = self.loss(outputs, rank)
            if loss is not None:
                (loss * scale).backward()
            found.setdefault("outputs", [output.detach() for output in outputs])
            if rank == 0:
                gradients = {n: p.grad for n, p in self.model.named_parameters() if p.grad is not None}
                found[name] = {n: gradient.detach().clone() for n, gradient in gradients.items()}
        return found


@dataclass(frozen=True, slots=True)
class Results:
    """What the ranks of a job came to, and what ran them, in words."""

    outcomes: list[Outcome]
    engine: str


class Ranks:
    """The ranks that jobs run on: processes of our own, or those that a launcher started.

    Attributes:
        launch: this process's place among the launcher's; None without one.
        name: of the job's model, the same in all processes.
    """

    def __init__(self, launch: Launch | None = None, name: str = "") -> None:
        self.launch = launch
        self.name = name

    def __call__(self, job: Job, *, find_unused: bool = False) -> Results | None:
        """Run a job; None where there can be no such ranks."""
        count = len(job.given)
        if not available(job.model):
            return None
        if self.launch is not None:
            if count != self.launch.ranks:
                return None
            engine = f"gloo, {count} processes of torchrun on the CPU"
            try:
                return Results(joined(job, self.launch, self.name, find_unused=find_unused), engine)
            except RuntimeError as error:
                text = next(iter(str(error).splitlines()), "")
                lost = [Outcome(failure=f"lost the others: {text}")]
                return Results([*[Outcome()] * self.launch.rank, *lost], engine)
        if count > MOST_RANKS or not can_fork():
            return None
        return Results(forked(job, find_unused=find_unused), f"gloo, {count} processes on the CPU")


def available(model: nn.Module) -> bool:
    """Whether gloo is here, and the model one that runs under it: synchronized batch normalization wants accelerators."""
    if not dist.is_available() or not dist.is_gloo_available() or dist.is_initialized():
        return False
    return not any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())


def forked(job: Job, *, find_unused: bool = False, seconds: float | None = None) -> list[Outcome]:
    """What each rank comes to, in processes of our own."""
    ranks = len(job.given)
    importlib.import_module("torch._dynamo")  # each rank would, to wrap the model, at a second each
    with tempfile.NamedTemporaryFile(prefix="netcheck-store-") as file:

        def step(rank: int) -> Any:
            store = dist.FileStore(file.name, ranks)
            with_local_interface()
            timeout = timedelta(seconds=WAIT_SECONDS)
            dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks, timeout=timeout)
            found = job.step(rank, find_unused=find_unused)
            dist.barrier()  # or the first to end takes the connection from the others
            return found

        return run_ranks(step, ranks, seconds=seconds or SECONDS)


def with_local_interface() -> None:
    """Have gloo talk over the loopback device: the machine's name may lead nowhere."""
    names = {name for _, name in socket.if_nameindex()}
    loopback = next((name for name in ("lo", "lo0") if name in names), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


def joined(job: Job, launch: Launch, name: str, *, find_unused: bool = False) -> list[Outcome]:
    """What each rank comes to, where this process is one of them; every rank gets all outcomes.

    Raises:
        RuntimeError: the others did not come, or went.
    """
    timeout = timedelta(seconds=SECONDS)
    store = dist.TCPStore(launch.address, launch.port, launch.ranks, is_master=False, timeout=timeout)
    inner = dist.PrefixStore(f"netcheck/{name}/{find_unused}", store)
    dist.init_process_group("gloo", store=inner, rank=launch.rank, world_size=launch.ranks, timeout=timeout)
    try:
        try:
            mine = Outcome(job.step(launch.rank, find_unused=find_unused))
        except Exception as error:
            mine = Outcome(failure=f"raised {type(error).__name__}: {next(iter(str(error).splitlines()), '')}")
        outcomes: list[Any] = [None] * launch.ranks
        dist.all_gather_object(outcomes, (mine.value, mine.failure))
        return [Outcome(*each) for each in outcomes]
    finally:
        with suppress(Exception):
            dist.destroy_process_group()
