"""What a model is run on in place of its own tensors: fakes, on which nothing is computed, or clones."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from netcheck.load.forks import keep_forks_able_to_differentiate
from netcheck.load.inference.proposals import Slot
from netcheck.load.inference.values import plain_fill
from netcheck.torch_versions import FakeTensor, fake_mode, fake_of

MOST_CONSTANT = 64  # integers


class FakeEngine:
    """Nothing is computed or allocated: fake tensors."""

    def __init__(self) -> None:
        keep_forks_able_to_differentiate()
        self._mode = fake_mode()
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def mode(self) -> contextlib.AbstractContextManager[Any]:
        """Where forward runs."""
        return self._mode

    def stand_in(self, tensor: Tensor) -> Tensor:
        """A fake of `tensor`, the same one each time; a meta tensor's is on the CPU."""
        if id(tensor) not in self._known:
            self._known[id(tensor)] = (tensor, self._fake(tensor))
        return self._known[id(tensor)][1]

    def make(self, slot: Slot, shape: tuple[int, ...], device: torch.device, length: int) -> Tensor:
        """A fake input."""
        return torch.empty(shape, dtype=slot.dtype, device=device)

    def _fake(self, tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            try:
                return with_constant(fake_of(self._mode, tensor, tensor.device), tensor)
            except Exception:  # a subclass that cannot be faked takes part as it is
                return tensor
        with self._mode:
            fake = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
            if isinstance(tensor, nn.Parameter):
                return nn.Parameter(fake, requires_grad=tensor.requires_grad)
            return fake


def with_constant(fake: Tensor, tensor: Tensor) -> Tensor:
    """Let a small table of integers keep its values: a kernel size or a stride is often kept in a buffer."""
    integer = not (tensor.is_floating_point() or tensor.is_complex())
    if isinstance(fake, FakeTensor) and integer and tensor.numel() <= MOST_CONSTANT and not tensor.requires_grad:
        fake.constant = tensor.detach().clone()
    return fake


class RealEngine:
    """Values matter: clones of the model's tensors, on small inputs."""

    def __init__(self, given: Mapping[str, Tensor] = MappingProxyType({})) -> None:
        """Compute for real; `given` are the values of some slots, the others are drawn."""
        self._given = given
        self._known: dict[int, tuple[Tensor, Tensor, int]] = {}

    def mode(self) -> contextlib.AbstractContextManager[Any]:
        """Where forward runs."""
        return contextlib.nullcontext()

    def stand_in(self, tensor: Tensor) -> Tensor:
        """A clone of `tensor`: a fresh one if the last run wrote to it."""
        known = self._known.get(id(tensor))
        if known is None or is_lazy(tensor) or known[1]._version != known[2]:
            clone = self._clone(tensor)
            known = self._known[id(tensor)] = (tensor, clone, clone._version)
        return known[1]

    def make(self, slot: Slot, shape: tuple[int, ...], device: torch.device, length: int) -> Tensor:
        """A real input; `length` is that of the sequences."""
        if slot.name in self._given:
            return self._given[slot.name].clone().to(device)
        return plain_fill(slot, shape, length).to(device)

    def _clone(self, tensor: Tensor) -> Tensor:
        lazily: dict[str, Any] = {"device": "cpu", "dtype": tensor.dtype}
        if isinstance(tensor, UninitializedParameter):
            return UninitializedParameter(tensor.requires_grad, **lazily)  # type: ignore[arg-type]
        if isinstance(tensor, UninitializedBuffer):
            return UninitializedBuffer(**lazily)
        clone = tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(clone, requires_grad=tensor.requires_grad)
        return clone.requires_grad_(tensor.requires_grad)
