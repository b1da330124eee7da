"""Processes that were started by somebody else and work on one job together, each as one rank of a process group.

    joined(job, launch, name)        torchrun started this process: a group of our own, which meets at torchrun's store
    given(job, name)                 this process is in a process group already: a group beside it, with the same backend

The ranks tell one another through the store how they fared (`Board`), which works where the group itself does not. All
of them get all outcomes, or `NotJudged`: the group did not come about, or somebody did not answer in time, which says
nothing about the model.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from netcheck.launch import Launch
from netcheck.measure.accelerators import CPU, Accelerators, accelerators
from netcheck.measure.job import Job
from netcheck.measure.ranks import NotJudged, Outcome, conclusive, failed, first_line, within_memory
from netcheck.torch_versions import group_store

CONNECTING_SECONDS = 60.0  # that a rank tries to reach the launcher's store
SECONDS = 60.0  # that ranks wait for one that computes
MEETING_SECONDS = 20.0  # that they wait for one that may not come, or has failed
SYNCHRONIZES = "synchronized batch normalization wants an accelerator for each rank"
_UNJUDGED, _INCONCLUSIVE = "!", "?"  # how the word of a rank begins that can tell nothing; that has failed, but not of the model
_ABSENT = "the other ranks of the process group do not check the model with this one"

_round = itertools.count()  # of the meetings at one store: all ranks count alike

if TYPE_CHECKING:
    Connection = AbstractContextManager[tuple[torch.device, dist.ProcessGroup | None]]


@dataclass(frozen=True)
class Board:
    """A store at which ranks tell one another one word each, by name.

    Attributes:
        patience: how many times as long as usual they wait.
    """

    store: dist.Store
    rank: int
    ranks: int
    patience: float = 1.0

    def told(self, name: str, word: str, seconds: float) -> list[str | None]:
        """Everybody's word, where this rank's is `word`; None from those that give none in time."""
        self.store.set(f"{name}/{self.rank}", "=" + word)  # a store may take an empty value for none
        keys = [f"{name}/{rank}" for rank in range(self.ranks)]
        with suppress(RuntimeError):
            self.store.wait(keys, timedelta(seconds=self.patience * seconds))
        return [self.store.get(key).decode()[1:] if self.store.check([key]) else None for key in keys]

    def within(self, prefix: str) -> Board:
        """A board of its own on the same store."""
        return replace(self, store=dist.PrefixStore(prefix, self.store))


def joined(
    job: Job, launch: Launch, name: str, *, find_unused: bool = False, patience: float = 1.0
) -> tuple[list[Outcome] | NotJudged, Accelerators]:
    """What each rank comes to, where this process is one of them, and on what they computed.

    On the accelerators of their machines, if each rank has one of its own; otherwise on the CPU.

    Raises:
        RuntimeError: the launcher's store does not answer.
    """
    timeout = timedelta(seconds=CONNECTING_SECONDS)
    store = dist.TCPStore(launch.address, launch.port, launch.ranks, is_master=False, timeout=timeout)
    board = Board(store, launch.rank, launch.ranks, patience).within(f"netcheck/{name}/{next(_round)}")
    here = accelerators()
    own = here if here is not None and here.backend and launch.local_rank < here.count else None
    kinds = board.told("kind", own.kind if own else "", SECONDS)
    if None in kinds:
        return NotJudged(f"rank {kinds.index(None)} of {len(kinds)} did not come in {patience * SECONDS:g} s"), CPU
    places = [own] if own is not None and len(set(kinds)) == 1 else []
    found: list[Outcome] | NotJudged = NotJudged(SYNCHRONIZES)
    for place in places if job.synchronizes else [*places, CPU]:
        apart = board.within(place.kind)
        found = together(job, apart, default_group(apart, place, launch), find_unused=find_unused)
        if not isinstance(found, NotJudged):
            return found, place
    return found, CPU


@contextmanager
def default_group(board: Board, place: Accelerators, launch: Launch) -> Iterator[tuple[torch.device, dist.ProcessGroup | None]]:
    """A process group of all ranks as the default one, with the device of this rank."""
    device = place.use(launch.local_rank)
    os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # on a timeout NCCL would end the process instead
    dist.init_process_group(
        place.backend,
        store=dist.PrefixStore("group", board.store),
        rank=board.rank,
        world_size=board.ranks,
        timeout=timedelta(seconds=board.patience * SECONDS),
    )
    try:
        yield device, None
    finally:
        with suppress(Exception):
            dist.destroy_process_group()


def given(
    job: Job, name: str, *, find_unused: bool = False, patience: float = 1.0
) -> tuple[list[Outcome] | NotJudged, Accelerators, str]:
    """What each rank comes to of the process group that this process is in; on what they computed, and its backend."""
    place, backend = place_of_group()
    board = Board(group_store(), dist.get_rank(), dist.get_world_size(), patience)
    board = board.within(f"netcheck/{name}/{next(_round)}")
    if place is CPU and job.synchronizes:
        return NotJudged(SYNCHRONIZES), place, backend
    if None in board.told("here", "", MEETING_SECONDS):
        return NotJudged(_ABSENT), place, backend
    return together(job, board, group_beside(place, patience * SECONDS), find_unused=find_unused), place, backend


@contextmanager
def group_beside(place: Accelerators, seconds: float) -> Iterator[tuple[torch.device, dist.ProcessGroup | None]]:
    """A process group of the same ranks as the default one, with the device that this rank has chosen."""
    index = 0 if place is CPU else torch.accelerator.current_device_index()
    group = dist.new_group(timeout=timedelta(seconds=seconds))
    try:
        yield place.device(index), group
    finally:
        with suppress(Exception):
            dist.destroy_process_group(group)


def place_of_group() -> tuple[Accelerators, str]:
    """On what the ranks of the default process group compute, and over which backend.

    It may have several, one for each kind of device ("cpu:gloo,cuda:nccl"): accelerators come before the CPU.
    """
    written = dist.get_backend_config()
    backends = dict(entry.split(":", 1) for entry in written.split(",") if ":" in entry)
    here = accelerators()
    if here is not None and here.backend and here.backend == backends.get(here.kind):
        return here, here.backend
    return CPU, backends.get("cpu", written)


def together(job: Job, board: Board, connection: Connection, *, find_unused: bool) -> list[Outcome] | NotJudged:
    """What each rank comes to, where this process is one of them.

    Args:
        job: the same in all of them.
        board: where they tell one another how it went.
        connection: makes the process group and closes it; gives this rank's device, and the group if not the default one.
        find_unused: whether DistributedDataParallel looks for parameters without a gradient.
    """
    with ExitStack() as connected:
        refusal = ""
        try:
            device, group = connected.enter_context(connection)
            dist.all_reduce(torch.ones(1, device=device), group=group)
        except Exception as error:
            refusal = first_line(error) or type(error).__name__
        refusals = board.told("started", refusal, SECONDS)
        if any(refusals) or None in refusals:
            return NotJudged(next(filter(None, refusals), "not all ranks came"))
        mine = tried(lambda: job.step(board.rank, device, find_unused=find_unused, group=group))
        stopped = word_of(mine)
        if stopped:
            group = None
            connected.close()
            gc.collect()  # the last that holds the connections: the others, who wait for this rank, see them closed
        seconds = MEETING_SECONDS if stopped else SECONDS
        fared = [told(word, board.patience * seconds) for word in board.told("fared", stopped, seconds)]
        found = conclusive(fared)
        if isinstance(found, NotJudged) or any(each.failure for each in found):
            return found
        outputs: list[Any] = [None] * board.ranks
        dist.all_gather_object(outputs, mine.value["outputs"], group=group)
        return [Outcome({**mine.value, "outputs": each}) for each in outputs]


def tried(step: Callable[[], Any]) -> Outcome:
    """How a step ends."""
    try:
        return Outcome(within_memory(step))
    except Exception as error:
        return failed(error)


def word_of(outcome: Outcome) -> str:
    """What a rank tells the others of how it fared; "" if all went well."""
    if isinstance(outcome.value, NotJudged):
        return _UNJUDGED + outcome.value.reason
    return _INCONCLUSIVE + outcome.failure if outcome.inconclusive else outcome.failure


def told(word: str | None, seconds: float) -> Outcome:
    """The outcome that a rank's word stands for; None: it gave none in so many seconds."""
    if word is None:
        return Outcome(failure=f"gave no answer in {seconds:g} s", inconclusive=True)
    if word.startswith(_UNJUDGED):
        return Outcome(NotJudged(word.removeprefix(_UNJUDGED)))
    inconclusive = word.startswith(_INCONCLUSIVE)
    return Outcome(failure=word.removeprefix(_INCONCLUSIVE), inconclusive=inconclusive)
