"""Numbers that wait on the device until all of a pass are fetched at once: each fetch makes the device wait."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Readout:
    """Named groups of tensors, read together."""

    def __init__(self) -> None:
        self._groups: dict[str, list[torch.Tensor]] = {}

    def add(self, name: str, *tensors: torch.Tensor) -> None:
        """Add tensors of any shape to a group; its numbers come in this order. They must stay as they are until read."""
        self._groups.setdefault(name, []).extend(
            tensor if tensor.dim() == 1 else tensor.detach().reshape(-1) for tensor in tensors
        )

    def read(self) -> Mapping[str, list[torch.Tensor]]:
        """Every group's tensors, flat, on the CPU: one copy for each precision that there is."""
        parts: dict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = {}
        for group in self._groups.values():
            for part in group:
                parts.setdefault((part.device, part.dtype), []).append(part)
        copies = {
            kind: iter(torch.cat(alike).to("cpu").split([part.numel() for part in alike]))
            for kind, alike in parts.items()
        }
        return {
            name: [next(copies[part.device, part.dtype]) for part in group] for name, group in self._groups.items()
        }
