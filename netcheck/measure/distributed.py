"""The shards under a real DistributedDataParallel and a real nn.DataParallel, on the best that there is.

    Ranks(launch, name)(job)         in a process group that is there         whatever backend it has
                                     in processes that torchrun started       accelerators if each has one, else gloo
                                     in processes of our own                  accelerators if there are enough, else gloo
    Ranks().in_parallel(job)         nn.DataParallel                          on accelerators only

Accelerators are used in processes of our own, which can be ended whatever happens on them. They are forked, since no other
process can be handed a model that somebody wrote in a notebook: so all of them must have run before this process starts an
accelerator's driver, and before its first backward beside one. Where ranks cannot run, are short of time or memory, or lose
one another, nothing is said of the model: the figures are the replicas', and the engine's name says why.
"""

from __future__ import annotations

import os
import socket
import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from netcheck import compiler
from netcheck.launch import Launch
from netcheck.measure import groups
from netcheck.measure.accelerators import CPU, Accelerators, accelerators, require_own_driver
from netcheck.measure.job import Job
from netcheck.measure.ranks import (
    NotJudged,
    Outcome,
    can_fork,
    conclusive,
    first_line,
    require_autograd,
    run_ranks,
    within_memory,
)

SECONDS = 60.0  # for all of it; what takes longer is not judged
WAIT_SECONDS = 20.0  # that one rank waits for another
MOST_RANKS = 8  # processes that are started here
UNFINISHED = "Expected to have finished reduction"
REPLICAS = "replicas on the CPU"


@dataclass(frozen=True, slots=True)
class Results:
    """What the ranks of a job came to, and what ran them, in words.

    Attributes:
        outcomes: one for each rank; None where there could be no ranks.
    """

    outcomes: list[Outcome] | None
    engine: str


class Ranks:
    """The ranks that jobs run on: processes of our own, or those of a launcher or a process group.

    Attributes:
        launch: this process's place among the launcher's; None without one.
        name: of the job's model, the same in all processes.
        patience: how many times as long as usual ranks may take, and wait for one another.
        strategy: what the ranks train under: "ddp", "fsdp", or "dp", which needs none.
    """

    def __init__(self, launch: Launch | None = None, name: str = "", patience: float = 1.0, strategy: str = "ddp") -> None:
        self.launch = launch
        self.name = name
        self.patience = patience
        self.strategy = strategy

    def __call__(self, job: Job, *, find_unused: bool = False) -> Results:
        """Run a job."""
        if self.strategy == "dp" or not dist.is_available():
            return Results(None, REPLICAS)
        found = self.run(job, find_unused)
        return replace(found, engine=f"FSDP2 over {found.engine}") if found.outcomes and self.strategy == "fsdp" else found

    def run(self, job: Job, find_unused: bool) -> Results:
        """In the process group, on the launcher's processes, or in processes of our own."""
        if dist.is_initialized():
            return self.in_group(job, find_unused)
        if self.launch is not None:
            return self.of_launcher(job, self.launch, find_unused)
        return self.own(job, find_unused)

    def in_group(self, job: Job, find_unused: bool) -> Results:
        """On the ranks of the process group that this process is in."""
        count = dist.get_world_size()
        if count != len(job.given):
            return Results(None, f"{REPLICAS} (the process group has {count} ranks for {len(job.given)} shares)")
        try:
            found, place, backend = groups.given(job, self.name, find_unused=find_unused, patience=self.patience)
        except RuntimeError as error:
            return Results(None, f"{REPLICAS} (lost the other ranks of the process group: {first_line(error)})")
        return results(found, f"{backend}, {count} ranks of the process group on {words(place)}")

    def of_launcher(self, job: Job, launch: Launch, find_unused: bool) -> Results:
        """On the processes that torchrun started."""
        count = launch.ranks
        if count != len(job.given):
            return Results(None, f"{REPLICAS} (torchrun started {count} processes for {len(job.given)} shares)")
        if not dist.is_gloo_available():
            return Results(None, REPLICAS)
        try:
            found, place = groups.joined(job, launch, self.name, find_unused=find_unused, patience=self.patience)
        except RuntimeError as error:
            return Results(None, f"{REPLICAS} (lost the other processes of torchrun: {first_line(error)})")
        hosts = f" on {launch.hosts} hosts," if launch.hosts > 1 else ""
        return results(found, f"{place.backend}, {count} processes of torchrun{hosts} on {words(place)}")

    def own(self, job: Job, find_unused: bool) -> Results:
        """In processes of our own: on accelerators, or over gloo on the CPU."""
        count = len(job.given)
        place, why = place_for(count)
        if place is not None and place.backend:
            found = forked(job, place, find_unused=find_unused, patience=self.patience)
            if not isinstance(found, NotJudged):
                return Results(found, f"{place.backend}, {count} processes on {words(place)}")
            why = found.reason
        because = f" ({why})" if why else ""
        possible = dist.is_gloo_available() and count <= MOST_RANKS and can_fork()
        if not possible or job.synchronizes:
            return Results(None, REPLICAS + because)
        found = forked(job, CPU, find_unused=find_unused, patience=self.patience)
        return results(found, f"gloo, {count} processes on the CPU{because}")

    def in_parallel(self, job: Job) -> Results:
        """nn.DataParallel's one process, as a single outcome; no outcomes where there are too few accelerators."""
        place, why = place_for(len(job.given))
        others = self.strategy == "fsdp" or self.launch is not None or (dist.is_available() and dist.is_initialized())
        if place is None or others or job.synchronizes:
            return Results(None, why)
        found = in_parallel(job, place, self.patience)
        return results(found, f"nn.DataParallel on {len(job.given)} devices, {place.kind}")


def given_ranks() -> int:
    """How many ranks the process group has that this process is in; 0 outside of one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 0


def results(found: list[Outcome] | NotJudged, engine: str) -> Results:
    """Outcomes with the name of what ran them; or that nothing did."""
    if isinstance(found, NotJudged):
        return Results(None, f"{REPLICAS} ({found.reason})")
    return Results(found, engine)


def words(place: Accelerators) -> str:
    """Where ranks compute."""
    return "the CPU" if place.kind == "cpu" else place.kind


def place_for(devices: int) -> tuple[Accelerators | None, str]:
    """The accelerators on which so many devices can be had; or None, and why not, if there are any at all."""
    here = accelerators()
    if here is None:
        return None, ""
    if here.count < devices:
        return None, str(here)
    if not can_fork():
        return None, f"{here}, in use by this process, which cannot start others on them"
    return here, ""


def forked(job: Job, place: Accelerators = CPU, *, find_unused: bool = False, patience: float = 1.0) -> list[Outcome] | NotJudged:
    """What each rank comes to, in processes of our own on devices of `place`."""
    ranks = len(job.given)
    compiler.load()  # each rank would, to wrap the model, at a second each
    with tempfile.TemporaryDirectory(prefix="netcheck-group-") as folder:

        def step(rank: int) -> Any:
            timeout = timedelta(seconds=patience * WAIT_SECONDS)
            try:
                require_autograd()
                device = place.use(rank)
                prepare_backends()
                store = dist.FileStore(str(Path(folder, "store")), ranks)
                dist.init_process_group(place.backend, store=store, rank=rank, world_size=ranks, timeout=timeout)
                dist.all_reduce(torch.ones(1, device=device))
            except Exception as error:
                return NotJudged(f"{place.backend} did not start: {first_line(error)}")
            Path(folder, str(rank)).touch()
            found = within_memory(lambda: job.step(rank, device, find_unused=find_unused))
            if not isinstance(found, NotJudged):  # the others need not wait for one that has given up
                dist.barrier()  # or the first to end takes the connection from the others
            return found

        return started(run_ranks(step, ranks, seconds=patience * SECONDS), Path(folder), place.backend)


def in_parallel(job: Job, place: Accelerators, patience: float = 1.0) -> list[Outcome] | NotJudged:
    """What nn.DataParallel comes to on accelerators, in a process of our own."""
    with tempfile.TemporaryDirectory(prefix="netcheck-parallel-") as folder:

        def step(rank: int) -> Any:
            devices = [place.device(index) for index in range(len(job.given))]
            try:
                require_autograd()
                require_own_driver()
                for device in devices:
                    torch.ones(1, device=device)
            except Exception as error:
                return NotJudged(f"{place.kind} did not start: {first_line(error)}")
            Path(folder, str(rank)).touch()
            return within_memory(lambda: job.in_parallel(devices))

        return started(run_ranks(step, 1, seconds=patience * SECONDS), Path(folder), place.kind)


def started(outcomes: list[Outcome], folder: Path, what: str) -> list[Outcome] | NotJudged:
    """The outcomes, if every rank left a mark in `folder`: how it fared before tells nothing about the model."""
    found = conclusive(outcomes)
    if isinstance(found, NotJudged):
        return found
    for rank, outcome in enumerate(outcomes):
        if not Path(folder, str(rank)).exists():
            return NotJudged(f"{what} did not start: rank {rank} {outcome.failure}")
    return found


def prepare_backends() -> None:
    """Have gloo talk over the loopback device, since the machine's name may lead nowhere; have NCCL raise on a timeout."""
    names = {name for _, name in socket.if_nameindex()}
    loopback = next((name for name in ("lo", "lo0") if name in names), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # it would end the process instead
