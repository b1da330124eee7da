"""How large the ids may be that forward shifts before it looks them up.

    embedding(ids + offsets)     offsets (0, 40, 70), a table of 90 rows     ->  ids below 90, 50 and 20, by column

Forward runs for real on ids of zero: what is looked up then is the shift. A second run, on the largest ids, must not fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.load.inference.engines import RealEngine
from netcheck.load.inference.probe import Probe
from netcheck.load.inference.proposals import Argument, Proposal, Slot

SECONDS = 1.0  # of computing


def rooms(model: nn.Module, arguments: Iterable[tuple[str, bool, Any]]) -> dict[str, Tensor]:
    """By argument, below which number each of its ids must stay: (1, ...) where its tensor is (samples, ...).

    Args:
        model: whose forward takes them.
        arguments: name, whether it is given by name, value; those that are no plain tensors are given as they are.
    """
    probe = Probe(model, seconds=SECONDS)
    if probe.lazy or not probe.can_be_real:
        return {}
    given: dict[str, Tensor] = {}
    made: list[Argument] = []
    sizes: dict[str, int] = {}
    for name, keyword, value in arguments:
        slot = Slot(name, None, value=value)
        if isinstance(value, Tensor) and not value.dtype.is_floating_point and not value.dtype.is_complex:
            slot = Slot(name, tuple(f"{name}.axis{axis}" for axis in range(value.dim())), value.dtype)
            sizes.update(zip(slot.dims or (), map(int, value.shape), strict=True))
            given[name] = torch.zeros_like(value, device="cpu") if slot.is_integer else value.detach()
        made.append(Argument(name, keyword, slot))
    proposal = Proposal(tuple(made), sizes)
    probe.engine = RealEngine(given)
    outcome = probe.run(proposal)
    found = {name: room.amin(0, keepdim=True) for name, room in outcome.recorder.rooms.items() if room.dim()}
    if not outcome.ok or not found or any(int(room.min()) < 1 for room in found.values()):
        return {}
    largest = {name: (room - 1).expand(given[name].shape).to(given[name].dtype) for name, room in found.items()}
    probe.engine = RealEngine({**given, **largest})
    return found if probe.run(proposal).ok else {}
