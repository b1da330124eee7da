"""One torch call of a run, as its demands and results are worked out from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tensor comes from."""

    sources: frozenset[str]  # the slots it depends on
    axes: tuple[tuple[str, int] | None, ...]  # for each axis, the slot's axis that it is, if that is clear
    values: str  # own, shifted or other: what became of the slot's values

    def axis(self, axis: int | None) -> tuple[str, int] | None:
        """The slot's axis that one of the tensor's axes is, if that is clear."""
        return self.axes[axis] if axis is not None and axis < len(self.axes) else None

    @property
    def is_whole(self) -> bool:
        """Whether it is one slot, axis for axis."""
        return len(self.sources) == 1 and all(axis is not None and axis[1] == i for i, axis in enumerate(self.axes))


class Follows(Protocol):
    """Who follows the inputs through a run: the recorder, as a call sees it."""

    parameters: dict[int, str]

    def origin(self, tensor: Any) -> Origin | None:
        """Where a tensor comes from."""

    def is_guess(self, origin: Origin) -> bool:
        """Whether a tensor is one slot whose rank is but a guess."""

    def is_batch(self, axis: tuple[str, int] | None) -> bool:
        """Whether an axis is the batch of some input."""


@dataclass(slots=True)
class Operand:
    """A tensor in a call."""

    tensor: Tensor
    origin: Origin | None  # None: it depends on no input
    parameter: str = ""  # its name in the model, if it is a parameter or buffer


@dataclass(slots=True)
class Call:
    """One torch call."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    recorder: Follows

    def get(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def operand(self, tensor: Tensor) -> Operand:
        """What is known of a tensor in this call."""
        return Operand(tensor, self.recorder.origin(tensor), self.recorder.parameters.get(id(tensor), ""))

    def operands(self) -> list[Operand]:
        """All tensors among the arguments, also those in lists."""
        return [self.operand(tensor) for tensor in tensors_in((*self.args, *self.kwargs.values()))]


def tensors_in(values: Any, depth: int = 3) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif depth and isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
            yield from tensors_in(value, depth - 1)
        elif depth and isinstance(value, dict):
            yield from tensors_in(value.values(), depth - 1)
