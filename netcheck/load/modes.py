"""Training and eval mode, also of models whose `train` is something else: a method that trains them on data."""

from __future__ import annotations

import inspect

from torch import nn


def set_training(model: nn.Module, training: bool) -> None:
    """Call `model.train(training)`; where a part's `train` does not take a mode alone, set the flag of each part instead.

    Raises:
        Exception: whatever the user's own `train(mode)` raises.
    """
    if all(map(takes_mode, {type(part) for part in model.modules()})):
        model.train(training)
        return
    for part in model.modules():
        part.training = training


def takes_mode(cls: type[nn.Module]) -> bool:
    """Whether `train` of a class can be called with a mode and nothing else."""
    try:
        inspect.signature(cls.train).bind(None, True)
    except (TypeError, ValueError):
        return False
    return True
