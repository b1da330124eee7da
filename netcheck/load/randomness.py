"""Random number generators: left as they were, and started anew from a seed.

RANDOM                           the global ones: of Python, of NumPy, of torch on all its devices
is_generator, state_of, ...      those that a program makes itself and keeps somewhere
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch

from netcheck.load.keeping import Keep, PutBack, always, kept
from netcheck.torch_versions import pending_seeds, set_pending_seeds


def numpy_random() -> PutBack:
    """Of NumPy, if it has been imported; where only the block imports it, it starts anew, as it would have."""
    before = sys.modules.get("numpy")
    state = before.random.get_state() if before is not None else None

    def put_back() -> None:
        numpy = sys.modules.get("numpy")
        if before is not None:
            before.random.set_state(state)
        elif numpy is not None:
            numpy.random.seed()

    return put_back


def accelerator_random(accelerator: Any) -> PutBack:
    """Of torch.cuda or torch.xpu: their states, or how they are to be seeded when the driver starts.

    Not `is_available`: it starts the driver, and a process that has started it can no longer be forked.
    """
    if not accelerator.is_initialized():
        return partial(set_pending_seeds, accelerator, pending_seeds(accelerator))
    states = accelerator.get_rng_state_all()
    return lambda: accelerator.set_rng_state_all(states)


def mps_random() -> PutBack:
    """Of Apple's GPUs."""
    if not torch.backends.mps.is_available():
        return lambda: None
    state = torch.mps.get_rng_state()
    return lambda: torch.mps.set_rng_state(state)


RANDOM: tuple[Keep, ...] = (
    always(random.getstate, random.setstate),
    numpy_random,
    always(torch.random.get_rng_state, torch.random.set_rng_state),
    partial(accelerator_random, torch.cuda),
    partial(accelerator_random, torch.xpu),
    mps_random,
)


def preserved_random_state() -> AbstractContextManager[None]:
    """Leave every global random number generator as it was."""
    return kept(RANDOM)


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


# ---- generators that belong to somebody -----------------------------------------------------------------------------------


def is_generator(value: Any) -> bool:
    """Whether a value is a random number generator of its own: of Python, NumPy or torch."""
    if isinstance(value, random.Random | torch.Generator):
        return not isinstance(value, random.SystemRandom)
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.random.Generator, numpy.random.RandomState))


def generator_kept(generator: Any) -> PutBack:
    """Read a generator's state; gives what puts it back."""
    if isinstance(generator, random.Random):
        return partial(generator.setstate, generator.getstate())
    if isinstance(generator, torch.Generator):
        return partial(generator.set_state, generator.get_state())
    if hasattr(generator, "bit_generator"):
        return partial(setattr, generator.bit_generator, "state", generator.bit_generator.state)
    return partial(generator.set_state, generator.get_state())
