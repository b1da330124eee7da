"""Fresh inputs like the example: Gaussian where it is floating, uniform token ids where it feeds an embedding.

Random inputs judge as well as real ones (AUC .92 against .93 for "does not train with SGD" on 560 small nets), and a probe
with several of them does not depend on one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.load.inference.rooms import rooms
from netcheck.load.inference.values import ids
from netcheck.trace import structure
from netcheck.trace.kinds import Kind

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

COARSE = 4  # positions along each dimension of the part that changes slowly
PASSING = (Kind.RESHAPE, Kind.INDEX, Kind.CAST, Kind.IDENTITY, Kind.PART)


@dataclass(frozen=True)
class Example:
    """The inputs that a model was traced on, and what fresh ones may look like.

    Attributes:
        args, kwargs: of forward.
        vocabulary: by name of an argument of forward: how many rows the embedding has that it indexes; where forward shifts ids
            first, how large those of each column may be: (1, ...).
        samples: the first dimension that all its tensors share; None if they share none.
        batches: (args, kwargs) of real data, in whose place no fresh inputs are drawn.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    vocabulary: Mapping[str, int | torch.Tensor]
    samples: int | None
    batches: tuple[tuple[tuple[Any, ...], Mapping[str, Any]], ...] = ()

    @classmethod
    def of(
        cls,
        graph: ModelGraph,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        batches: Sequence[tuple[tuple[Any, ...], Mapping[str, Any]]] = (),
    ) -> Example:
        """What `graph` was traced on, and the real data that it is measured on."""
        known: dict[str, int | torch.Tensor] = {**shifted(graph, args, kwargs), **vocabularies(graph)}
        return cls(args, kwargs, known, shared_samples((args, kwargs)), tuple(batches))

    def fresh(
        self,
        names: tuple[str, ...],
        samples: int | None,
        generator: torch.Generator,
        *,
        own_types: bool = False,
        draw: Callable[..., torch.Tensor] = torch.randn,
    ) -> tuple[Any, Any]:
        """(args, kwargs) of new values and `samples` in each batch (None: as many as the example).

        They are drawn in float32 at least; with `own_types` they are then given the example's types. `draw` makes floating
        ones: Gaussian, or otherwise.

        `names` are those of the arguments, positional ones first.
        """
        values = [*self.args, *self.kwargs.values()]
        made = []
        for name, value in zip(names, values, strict=True):
            new = partial(self._fresh, name=name, samples=samples, generator=generator, own_types=own_types, draw=draw)
            made.append(structure.rebuild(value, new))
        return tuple(made[: len(self.args)]), dict(zip(self.kwargs, made[len(self.args) :], strict=True))

    def _fresh(
        self,
        tensor: torch.Tensor,
        *,
        name: str,
        samples: int | None,
        generator: torch.Generator,
        own_types: bool,
        draw: Callable[..., torch.Tensor],
    ) -> torch.Tensor:
        if not is_ordinary(tensor):
            return tensor.detach().clone()
        shape = tuple(tensor.shape) if samples is None else (samples, *tensor.shape[1:])
        high = self.vocabulary.get(name)
        if isinstance(high, torch.Tensor) and tensor.dtype in (torch.int64, torch.int32) and high.dim() == tensor.dim():
            return ids(shape, high, generator).to(tensor.dtype)
        if isinstance(high, int) and tensor.is_floating_point():
            return ids(shape, high, generator).to(tensor.dtype if own_types else torch.promote_types(tensor.dtype, torch.float32))
        if tensor.is_floating_point() or tensor.is_complex():
            drawn = draw(shape, generator=generator, dtype=torch.promote_types(tensor.dtype, torch.float32))
            return laid_out_as(tensor, drawn.to(tensor.dtype) if own_types else drawn)
        if isinstance(high, int) and tensor.dtype in (torch.int64, torch.int32):
            return torch.randint(high, shape, generator=generator, dtype=tensor.dtype)
        return resized(tensor, samples)

    def given(self, samples: int | None, number: int = 0) -> tuple[Any, Any]:
        """(args, kwargs) as they were given, of several batches the one with this number; cut to `samples` if they are more."""
        args, kwargs = self.batches[number % len(self.batches)] if self.batches else (self.args, self.kwargs)
        have = shared_samples((args, kwargs))
        fewer = samples if samples is not None and have is not None and samples < have else None

        def own(tensor: torch.Tensor) -> torch.Tensor:
            return resized(tensor, fewer).requires_grad_(tensor.requires_grad)

        return structure.rebuild((args, dict(kwargs)), own)  # type: ignore[no-any-return]


def with_low_frequencies(shape: Sequence[int], *, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    """Gaussian noise half of whose power changes slowly over positions, as that of images and signals does.

    White noise that is averaged over many positions looks alike for all samples; photographs do not (their power falls with the
    square of the frequency: Field 1987).
    """
    white = torch.randn(shape, generator=generator, dtype=dtype)
    if len(shape) < 3 or 0 in shape:
        return white
    steps_first = len(shape) == 3 and shape[1] > shape[2]  # (N, T, C), and not (N, C, T)
    fine = white.transpose(1, 2) if steps_first else white
    sizes = fine.shape[2:]
    coarse = torch.randn((*fine.shape[:2], *(min(COARSE, size) for size in sizes)), generator=generator, dtype=dtype)
    for dimension, size in enumerate(sizes, 2):
        where = torch.arange(size) * coarse.shape[dimension] // size
        coarse = coarse.index_select(dimension, where)
    mixed = (fine + coarse) / 2**0.5
    return (mixed.transpose(1, 2) if steps_first else mixed).contiguous()


def laid_out_as(tensor: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """`new` with its channels last in memory if those of `tensor` are."""
    memory_format = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    if memory_format is None or tensor.is_contiguous() or not tensor.is_contiguous(memory_format=memory_format):
        return new
    return new.contiguous(memory_format=memory_format)


def resized(tensor: torch.Tensor, samples: int | None) -> torch.Tensor:
    """A copy with `samples` rows: the first ones, again and again if there are too few."""
    if samples is None or samples == tensor.shape[0]:
        return tensor.detach().clone()
    rows = tensor.detach()[torch.arange(samples, device=tensor.device) % tensor.shape[0]]
    return laid_out_as(tensor, rows.clone())


def is_ordinary(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a plain array of numbers, and not sparse, nested or quantized."""
    return tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_quantized


def shared_samples(value: Any) -> int | None:
    """The size of the first dimension of all tensors in `value`, if it is one."""
    if not all(is_ordinary(tensor) for _, tensor in structure.tensors(value)):
        return None
    sizes = {tensor.shape[0] if tensor.dim() else 0 for _, tensor in structure.tensors(value)}
    return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None


def vocabularies(graph: ModelGraph) -> dict[str, int]:
    """By name of an argument of forward: the rows of the (smallest) embedding that looks its numbers up."""
    found: dict[str, int] = {}
    for node in graph:
        if node.kind is not Kind.EMBEDDING:
            continue
        source = next((source for source in node.inputs if source.kind is not Kind.PARAMETER), None)
        source = None if source is None else behind(source)
        rows = rows_of(node)
        if source is not None and source.op == "placeholder" and rows:
            found[source.target] = min(rows, found.get(source.target, rows))
    return found


def behind(source: Node) -> Node:
    """What a node is but a rearrangement or a selection of."""
    while source.op != "placeholder" and source.kind in PASSING and source.inputs:
        source = source.inputs[0]
    return source


def shifted(graph: ModelGraph, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """How large the ids may be, by argument and column, to which forward adds something before an embedding looks them up."""
    names = [node.target for node in graph if node.op == "placeholder"]
    values = [*args, *kwargs.values()]
    looked_up = (source for node in graph if node.kind is Kind.EMBEDDING for source in node.inputs)
    kinds = {behind(source).kind for source in looked_up if source.kind is not Kind.PARAMETER}
    if kinds.isdisjoint((Kind.SHIFT, Kind.ADD)) or len(names) != len(values) or not any(map(is_table_of_ids, values)):
        return {}
    given = [(name, place >= len(args), value) for place, (name, value) in enumerate(zip(names, values, strict=True))]
    return rooms(graph.model, given)


def is_table_of_ids(value: Any) -> bool:
    """Whether an argument is whole numbers, several for each sample."""
    return isinstance(value, torch.Tensor) and value.dim() > 1 and value.dtype in (torch.int64, torch.int32)


def rows_of(node: Any) -> int:
    """How many rows an embedding's table has; 0 if that is not known."""
    if isinstance(node.module, nn.Embedding | nn.EmbeddingBag):
        return int(node.module.num_embeddings)
    table = next((source for source in node.inputs if source.kind is Kind.PARAMETER and source.shape), None)
    return int(table.shape[0]) if table is not None else 0
