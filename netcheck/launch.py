"""Whether netcheck was started as one of several processes by torchrun. Imports no torch.

torchrun --nproc-per-node 2 -m netcheck model.py     two processes check the same models together; the first one reports
torchrun --nnodes 2 ... -m netcheck model.py         and on two hosts, where each of them is told this
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Launch:
    """This process among those that were started together.

    Attributes:
        rank: its number among all.
        ranks: how many there are.
        address, port: of their store.
        local_rank: its number among those on this machine.
        hosts: the machines that they run on, or groups of processes that were started apart.
    """

    rank: int
    ranks: int
    address: str
    port: int
    local_rank: int = 0
    hosts: int = 1


def launched(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """The place among processes that a launcher gave this one; None without a launcher, or alone."""
    try:
        rank, ranks, address, port = (environment[name] for name in _NEEDED)
        local_rank = int(environment.get("LOCAL_RANK", rank))
        hosts = int(environment.get("GROUP_WORLD_SIZE", 1))
        found = Launch(int(rank), int(ranks), address, int(port), local_rank, hosts)
    except (KeyError, ValueError):
        return None
    return found if found.ranks > 1 and 0 <= found.rank < found.ranks else None
