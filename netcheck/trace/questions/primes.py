"""The same model on inputs whose free dimensions are primes, so that sizes tell axes apart.

    tokens (2, 16) -> (3, 17)       a dimension of 17 is the steps', and not 2 heads of 8
    x (4, 3, 32, 32) -> (5, 3, 37, 37), or (5, 3, 32, 32) where the model is made for its images

Nothing is computed: it is one more run on fake tensors, made where a rule has a suspicion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch

from netcheck.errors import TraceError
from netcheck.trace import structure
from netcheck.trace.attempts import attempt_fake
from netcheck.trace.question import question

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 127, 131, 227, 257)
_ALONE = 4  # dimensions that are tried by themselves, the last first
Sizes = Mapping[tuple[int, int], int]  # (number of the tensor, dimension) -> its size


@question
def at_primes(graph: ModelGraph) -> ModelGraph | None:
    """The graph of the same operations on inputs of prime sizes; None if forward does not run on any, or does other things."""
    tensors = list({id(tensor): tensor for _, tensor in structure.tensors(graph.example)}.values())
    for sizes in resizings(tensors):
        numbers = {id(tensor): number for number, tensor in enumerate(tensors)}

        def resized(tensor: torch.Tensor, sizes: Sizes = sizes, numbers: Mapping[int, int] = numbers) -> torch.Tensor:
            shape = [sizes.get((numbers[id(tensor)], dim), int(size)) for dim, size in enumerate(tensor.shape)]
            return torch.empty(shape, dtype=tensor.dtype, device="meta")

        args, kwargs = structure.rebuild(graph.example, resized)
        try:
            recorder = attempt_fake(graph.model, args, kwargs)
        except TraceError:
            continue
        twin = type(graph)(graph.model, recorder.recording, tensors="fake", example=(args, kwargs))
        if [node.target for node in twin] == [node.target for node in graph]:
            return twin
    return None


def resizings(tensors: list[torch.Tensor]) -> Iterator[Sizes]:
    """Prime sizes for the free dimensions of the inputs: for all, for those beside the batch, for one of them, for the batch."""
    batch = next((int(tensor.shape[0]) for tensor in tensors if tensor.dim()), 0)
    for larger in (True, False):
        primes = distinct_primes([batch, *(size for tensor in tensors for size in map(int, tensor.shape))], larger=larger)
        free = {
            (number, dim): primes[-1 if dim == 0 and size == batch else int(size)]
            for number, tensor in enumerate(tensors)
            for dim, size in enumerate(tensor.shape)
            if size > 1 and is_free(tensor, dim)
        }
        beside = {place: prime for place, prime in free.items() if prime != primes[-1]}
        yield free
        if beside and len(beside) < len(free):
            yield beside
        batches = {place: prime for place, prime in free.items() if place not in beside}
        for place in list(reversed(beside))[:_ALONE]:  # height may be given where width is free
            yield {**batches, place: beside[place]}
        yield batches


def distinct_primes(sizes: list[int], *, larger: bool) -> dict[int, int]:
    """A prime of its own for each size, and under -1 one for the first of them, the batch."""
    found: dict[int, int] = {}
    for key, size in [(-1, sizes[0]), *((size, size) for size in dict.fromkeys(sizes))]:
        fitting = [prime for prime in _PRIMES if prime not in found.values() and (prime > size if larger else prime < size)]
        found[key] = (fitting[0] if larger else fitting[-1]) if fitting else size
    return found


def is_free(tensor: torch.Tensor, dim: int) -> bool:
    """Whether a dimension of an input is not that of its features: of numbers the last, of maps the second."""
    if not tensor.is_floating_point() or tensor.dim() < 2:
        return True
    return dim != (tensor.dim() - 1 if tensor.dim() < 4 else 1)
