"""Random number generators: left as they were, and started anew from a seed."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Leave every global random number generator (Python, numpy, torch on all its devices) as it was."""
    python = random.getstate()
    cpu = torch.random.get_rng_state()
    # Not `is_available`: it starts the driver, and a process that has started it can no longer be forked.
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    before = sys.modules.get("numpy")
    numpy = before.random.get_state() if before is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        torch.random.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)
        if before is not None:
            before.random.set_state(numpy)


def seed_all(seed: int) -> None:
    """Start every global random number generator from `seed`, so that a model built next is always the same."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with every generator started from `seed`; afterwards they are as they were."""
    with preserved_random_state():
        seed_all(seed)
        yield
