"""Numbers that wait on the device until all of a pass are fetched at once: each fetch makes the device wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from netcheck.measure.precision import real


class Readout:
    """Named groups of tensors on one device, read together."""

    def __init__(self) -> None:
        self._groups: dict[str, list[torch.Tensor]] = {}

    def add(self, name: str, *tensors: torch.Tensor) -> None:
        """Add tensors of any shape to a group; its numbers come in this order, a complex one's parts side by side.

        They must stay as they are until read.
        """
        self._groups.setdefault(name, []).extend(
            tensor if tensor.dim() == 1 else tensor.detach().reshape(-1) for tensor in map(real, tensors)
        )

    def read(self) -> Mapping[str, list[torch.Tensor]]:
        """Every group's tensors, flat, on the CPU."""
        parts: dict[torch.dtype, list[torch.Tensor]] = {}
        for group in self._groups.values():
            for part in group:
                parts.setdefault(part.dtype, []).append(part)
        whole = [torch.cat(alike) for alike in parts.values()]  # one of each precision
        copies = {
            dtype: iter(one.split([part.numel() for part in alike]))
            for (dtype, alike), one in zip(parts.items(), fetched(whole), strict=True)
        }
        return {name: [next(copies[part.dtype]) for part in group] for name, group in self._groups.items()}


def fetched(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Flat tensors of any precisions on one device, on the CPU: fetched as bytes, by a single copy."""
    if not tensors or tensors[0].device.type == "cpu":
        return list(tensors)
    order = sorted(range(len(tensors)), key=lambda number: -tensors[number].itemsize)  # each begins where its kind may
    together = torch.cat([tensors[number].view(torch.uint8) for number in order]).to("cpu")
    sizes = [tensors[number].nbytes for number in order]
    found = dict(zip(order, together.split(sizes), strict=True))
    return [found[number].view(tensor.dtype) for number, tensor in enumerate(tensors)]
