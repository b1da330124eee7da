"""Which dimension of each argument holds the batch, and arguments of another batch size.

    axes = BatchAxes(model, args, kwargs)       the first tensor's dimension 0 is the batch; of the others, what runs
    axes.resized(50)                            arguments for 50 samples, without values
    axes.drawn(6, seed=0)                       arguments for 6 samples whose numbers are the example's, mixed anew

`mask (1, T, T)` has no batch; of `hidden (2, N, H)` beside a batch of 2, only forward at another size tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

import torch
from torch import nn

from netcheck.errors import TraceError
from netcheck.figures.batches import Input
from netcheck.trace import structure
from netcheck.trace.attempts import argument_names, attempt_fake
from netcheck.trace.graph import ModelGraph
from netcheck.trace.run import trace

_MOST_TRIES = 16
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class BatchAxes:
    """The batch dimension of every tensor among the arguments of one model.

    Attributes:
        batch: samples of the example: the first dimension of its first tensor that has one.
    """

    def __init__(self, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.model = model
        self.example = (tuple(args), dict(kwargs))
        self.tensors = list({id(t): t for _, t in structure.tensors(self.example)}.values())
        self.batch = next((int(tensor.shape[0]) for tensor in self.tensors if tensor.dim()), 0)
        self.axes: dict[int, int | None] = next(self.assignments(), {})

    def assignments(self) -> Iterator[dict[int, int | None]]:
        """Ways to tell where the batch is, the likeliest first."""
        seen_first = False
        options: list[list[int | None]] = []
        for tensor in self.tensors:
            found: list[int | None] = [d for d, size in enumerate(tensor.shape) if size == self.batch]
            if tensor.dim() and not seen_first:
                seen_first, found = True, [0]  # the first tensor's first dimension is the batch by definition
            elif not found or found[0] != 0:
                found = [*found[:1], None, *found[1:]] if found else [None]
            else:
                found.append(None)
            options.append(found)
        # Change as little as possible at a time: sort by how many tensors differ from their likeliest axis.
        ways = islice(product(*(range(len(each)) for each in options)), 256)
        for way in sorted(ways, key=lambda way: sum(map(bool, way)))[:_MOST_TRIES]:
            chosen = (option[index] for option, index in zip(options, way, strict=True))
            yield {id(tensor): axis for tensor, axis in zip(self.tensors, chosen, strict=True)}

    def graph_at(self, samples: int) -> ModelGraph:
        """The graph of the model at another batch size; settles which dimensions hold the batch.

        Raises:
            TraceError: forward does not run at this size, whichever dimensions are taken for the batch.
        """
        first: TraceError | None = None
        for axes in (self.axes, *self.assignments()):
            before, self.axes = self.axes, axes
            try:
                return self._trace(samples)
            except TraceError as error:
                self.axes, first = before, first or error
                if axes is not before and len(self.tensors) == 1:
                    break
        assert first is not None
        raise first

    def _trace(self, samples: int) -> ModelGraph:
        try:
            return retraced(self.model, *self.resized(samples))
        except TraceError:
            if not any(tensor.is_meta for tensor in self.tensors):  # perhaps only its values are missing
                return trace(self.model, *self.drawn(samples))
            raise

    def resized(self, samples: int) -> Arguments:
        """Arguments for so many samples, without values."""

        def resize(tensor: torch.Tensor) -> torch.Tensor:
            axis = self.axes[id(tensor)]
            if axis is None:
                return tensor
            shape = (*tensor.shape[:axis], samples, *tensor.shape[axis + 1 :])
            return torch.empty(shape, dtype=tensor.dtype, device="meta")

        return self._rebuilt(resize)

    def drawn(self, samples: int, *, seed: int = 0, rows: bool = False, dtype: torch.dtype | None = None) -> Arguments:
        """Arguments for so many samples, of numbers that the example has; with `rows`, of whole samples in turn.

        Samples of random numbers differ in more than the draw (see `scattered`).

        Args:
            samples: how many.
            seed: of the draw.
            rows: repeat the example's samples, where numbers cannot be put anywhere (sorted offsets, positions).
            dtype: of floating-point tensors; None: their own.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(tensor: torch.Tensor) -> torch.Tensor:
            axis, tensor = self.axes[id(tensor)], tensor.detach().cpu()
            if axis is not None:
                shape = (*tensor.shape[:axis], samples, *tensor.shape[axis + 1 :])
                if not tensor.numel():
                    tensor = tensor.new_zeros(shape)
                elif rows:
                    tensor = tensor.index_select(axis, torch.arange(samples) % tensor.shape[axis])
                else:
                    tensor = scattered(tensor.flatten(), shape, axis, generator)
            return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor.clone()

        return self._rebuilt(draw)

    def _rebuilt(self, change: Any) -> Arguments:
        args, kwargs = structure.rebuild(self.example, change)
        return args, kwargs

    def axis_of(self, path: structure.Path) -> int | None:
        """The batch dimension of the tensor at `path` in (args, kwargs)."""
        found = dict(structure.tensors(self.example))
        return self.axes[id(found[path])]

    def cut(self, value: tuple[Any, Any], start: int, samples: int) -> Arguments:
        """The arguments of some samples in a row out of `value`, arguments of this structure."""
        return self._taken(value, lambda tensor, axis: tensor.narrow(axis, start, samples))

    def picked(self, value: tuple[Any, Any], samples: Sequence[int]) -> Arguments:
        """The arguments of some samples out of `value`, in this order."""
        return self._taken(value, lambda tensor, axis: tensor.index_select(axis, torch.tensor(samples)))

    def _taken(self, value: tuple[Any, Any], take: Callable[[torch.Tensor, int], torch.Tensor]) -> Arguments:
        order = iter([self.axes[id(tensor)] for _, tensor in structure.tensors(self.example)])
        axes = {id(tensor): axis for (_, tensor), axis in zip(structure.tensors(value), order, strict=True)}

        def part(tensor: torch.Tensor) -> torch.Tensor:
            axis = axes[id(tensor)]
            return tensor if axis is None else take(tensor, axis)

        args, kwargs = structure.rebuild(value, part)
        return args, kwargs

    def inputs(self, samples: int) -> list[Input]:
        """What each tensor is called, its shape in a batch of so many, and where it holds the batch."""
        found = []
        for name, value in argument_names(self.model, *self.example):
            for path, tensor in structure.tensors(value):
                axis = self.axes[id(tensor)]
                shape = tuple(samples if d == axis else int(size) for d, size in enumerate(tensor.shape))
                found.append(Input(name + "".join(map(_written, path)), shape, axis))
        return found


def scattered(numbers: torch.Tensor, shape: tuple[int, ...], axis: int, generator: torch.Generator) -> torch.Tensor:
    """Some of these numbers in a tensor of `shape`, whose samples stand along `axis`.

    Of floating-point numbers the second sample of three gets larger and the third smaller ones: samples that differ by the draw
    alone have the same mean over many positions, and what mixes their means would not be seen.
    """
    one = numbers[torch.randint(len(numbers), shape, generator=generator)]
    if not numbers.is_floating_point():
        return one
    other = numbers[torch.randint(len(numbers), shape, generator=generator)]
    which = (torch.arange(shape[axis]) % 3).view(-1, *(1 for _ in shape[axis + 1 :]))
    return torch.where(which == 1, torch.maximum(one, other), torch.where(which == 2, torch.minimum(one, other), one))


def retraced(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ModelGraph:
    """The graph of `model` on arguments without values.

    Raises:
        TraceError: forward does not run on them.
    """
    recorder = attempt_fake(model, args, kwargs)
    if recorder.recording.lost:
        recorder = attempt_fake(model, args, kwargs, hear_all=True)
    return ModelGraph(model, recorder.recording, tensors="fake")


def _written(step: structure.Step) -> str:
    how, key = step
    return f"[{key!r}]" if how == "item" else f".{key}"
