"""Numbers that wait on the device until all of a pass are fetched at once: each fetch makes the device wait."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Readout:
    """Named groups of small tensors, read together."""

    def __init__(self) -> None:
        self._groups: dict[str, list[torch.Tensor]] = {}

    def add(self, name: str, *tensors: torch.Tensor) -> None:
        """Add tensors of any shape to a group; its numbers come in this order."""
        self._groups.setdefault(name, []).extend(tensor.detach().flatten() for tensor in tensors)

    def read(self) -> Mapping[str, list[float]]:
        """Every group's numbers, with one synchronization."""
        parts = [part for group in self._groups.values() for part in group]
        if not parts:
            return {name: [] for name in self._groups}
        device = next((part.device for part in parts if part.device.type != "cpu"), torch.device("cpu"))
        wide = torch.float32 if device.type == "mps" else torch.float64
        numbers = torch.cat([part.to(device, wide) for part in parts]).tolist()
        found: dict[str, list[float]] = {}
        position = 0
        for name, group in self._groups.items():
            size = sum(part.numel() for part in group)
            found[name] = numbers[position : position + size]
            position += size
        return found
