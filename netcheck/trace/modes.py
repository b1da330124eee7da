"""Switches that forward may turn around its operations: gradients (`torch.no_grad`), precision (`autocast`), the default
dtype.

An operation under `torch.no_grad()` is recorded between two nodes, so that a graph computes and differentiates as
the model does, also when its caller has turned the switches:

    switch = netcheck.trace.modes.switch(gradients=False)
    linear = self.linear(x)
    switch_back = netcheck.trace.modes.switch_back(switch)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import fx
from torch.fx.node import has_side_effect

from netcheck.torch_versions import set_gradients

_DEVICES = ("cpu", "cuda")


class Modes(NamedTuple):
    """How the switches stand."""

    gradients: bool
    precision: tuple[tuple[bool, torch.dtype], ...]  # of each device type: whether autocast is on, and its dtype
    floating: torch.dtype  # of what is made without one


def present() -> Modes:
    """How the switches stand now."""
    autocast = torch.is_autocast_enabled
    if not autocast("cpu") and not autocast("cuda"):
        return Modes(torch.is_grad_enabled(), (), torch.get_default_dtype())
    precision = tuple((autocast(d), torch.get_autocast_dtype(d)) for d in _DEVICES)
    return Modes(torch.is_grad_enabled(), precision, torch.get_default_dtype())


def switch(gradients: bool, precision: tuple[tuple[bool, torch.dtype], ...] = (), floating: torch.dtype | None = None) -> Modes:
    """Turn the switches; returns how they stood. Without a `precision` autocast is off."""
    before = present()
    set_gradients(gradients)
    if floating is not None and floating is not before.floating:
        torch.set_default_dtype(floating)
    for device, (enabled, dtype) in zip(_DEVICES, precision, strict=True) if precision else ():
        torch.set_autocast_dtype(device, dtype)
        torch.set_autocast_enabled(device, enabled)
    if not precision and before.precision:
        for device in _DEVICES:
            torch.set_autocast_enabled(device, False)
    return before


def switch_back(before: Modes) -> None:
    """Turn the switches to where they stood."""
    switch(*before)


has_side_effect(switch)  # torch.fx must not remove them as dead code
has_side_effect(switch_back)


class Switches:
    """Notes in a graph how the switches are turned between its nodes."""

    def __init__(self) -> None:
        self._turned: list[tuple[Modes, fx.Node | None]] = []

    def note(self, graph: fx.Graph) -> fx.Node | None:
        """Append a node to `graph` if the switches stand otherwise than at the last call."""
        modes = present()
        if not self._turned:
            self._turned.append((modes, None))
        if modes == self._turned[-1][0]:
            return None
        if len(self._turned) > 1 and modes == self._turned[-2][0]:
            _, node = self._turned.pop()
            return graph.call_function(switch_back, (node,))
        args: list[Any] = [modes.gradients]
        if modes.floating is not self._turned[-1][0].floating:
            args += [modes.precision, modes.floating]
        elif modes.precision:
            args.append(modes.precision)
        node = graph.call_function(switch, tuple(args))
        self._turned.append((modes, node))
        return node
