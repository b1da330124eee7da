"""The faults, a file for each family of rules, and for what several of them share; see `registry`."""

from __future__ import annotations

import importlib
import pkgutil

from tests.mutations.faults.registry import FAULTS, Fault
from tests.zoo import declare_torchvision_operators


def all_faults() -> tuple[Fault, ...]:
    """Every fault of every file in this folder, by code."""
    declare_torchvision_operators()  # before anything imports torchvision
    for info in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{info.name}")
    return tuple(sorted(FAULTS, key=lambda fault: (fault.code, fault.style)))
