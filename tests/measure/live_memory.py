"""What torch itself holds at its highest during training steps: the oracle for estimates of memory.

Every tensor that an operation returns is followed until its memory is freed; nothing here knows of graphs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that live now, and the most that did at one moment."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}

    def follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, nbytes = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known[key] = weakref.ref(storage, lambda _: self._freed(key, nbytes))
            self.now += nbytes
            self.peak = max(self.peak, self.now)

    def _freed(self, key: int, nbytes: int) -> None:
        del self._known[key]
        self.now -= nbytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.follow(leaf)
        return result


def training_peak(
    model: torch.nn.Module,
    inputs: torch.Tensor,
    optimizer: Callable[[Any], torch.optim.Optimizer],
    steps: int = 2,
) -> int:
    """Bytes at the highest moment of `steps` training steps, with everything that the model and its inputs hold."""
    memory = LiveMemory()
    for tensor in (*model.parameters(), *model.buffers(), inputs):
        memory.follow(tensor)
    algorithm = optimizer(model.parameters())
    with memory:
        for _ in range(steps):
            loss = model(inputs).square().mean()
            loss.backward()
            algorithm.step()
            algorithm.zero_grad()
    return memory.peak
