"""What each device gets of a batch: from nn.DataParallel's scatter, and from DistributedSampler.

    chunk_sizes(50, 4)                    [13, 13, 13, 11]       Tensor.chunk: pieces of ceil(50 / 4), as long as they last
    chunk_sizes(5, 4)                     [2, 2, 1]              three devices work
    scatter((x, mask), {}, 4)             one Share for each device that gets anything
    sampler_shares(50, 4)                 rank 0: 0, 4, 8 ...; 13 each: two samples come twice

Nothing here needs a device: the tensors are cut where they are. torch's own code is in torch/nn/parallel/scatter_gather.py
and data_parallel.py, and torch/utils/data/distributed.py; the tests hold this to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


class CannotScatterError(Exception):
    """nn.DataParallel would raise on these arguments; the text says why."""


@dataclass(frozen=True, slots=True)
class Share:
    """The arguments with which one device calls forward."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def chunk_sizes(size: int, devices: int) -> list[int]:
    """The sizes of the pieces into which Tensor.chunk cuts a dimension: at most `devices`, often fewer."""
    if size == 0:
        return [0] * devices
    piece = -(-size // devices)
    return [min(piece, size - start) for start in range(0, size, piece)]


def scatter(args: Sequence[Any], kwargs: dict[str, Any], devices: int) -> list[Share]:
    """What nn.DataParallel hands to each of `devices`: one share for each device that is used at all.

    Tensors are cut along dimension 0, in containers too; everything else goes to every device as it is. Where arguments
    come in different numbers of pieces, the fewest count, and the rest of the batch is dropped without a word.

    Raises:
        CannotScatterError: a tensor has no dimension to cut, or positional and keyword arguments do not pair up.
    """
    positional = _pieces(tuple(args), devices) if args else []
    named = _pieces(kwargs, devices) if kwargs else []
    if len(positional) < len(named):
        positional += [()] * (len(named) - len(positional))
    elif len(named) < len(args):  # so it stands in torch: the number of arguments, not of their pieces
        named += [{} for _ in range(len(positional) - len(named))]
    if not positional and not named:
        return [Share()]
    if devices == 1:
        return [Share(positional[0], named[0] if named else {})]
    if len(positional) != len(named):
        raise CannotScatterError(
            f"the positional arguments come in {len(positional)} pieces and the keyword arguments in {len(named)}"
        )
    return [Share(*each) for each in zip(positional, named, strict=True)]


def _pieces(value: Any, devices: int) -> list[Any]:
    """`value` cut for each device. Containers end with the first of their parts that ends."""
    if isinstance(value, torch.Tensor):
        if not value.dim():
            raise CannotScatterError("a tensor without dimensions cannot be cut")
        return list(value.split(chunk_sizes(value.shape[0], devices)))
    if isinstance(value, tuple | list | dict) and value:
        parts = value.items() if isinstance(value, dict) else value
        cut = list(zip(*(_pieces(part, devices) for part in parts), strict=False))
        if isinstance(value, dict):
            return [type(value)(each) for each in cut]
        if isinstance(value, list):
            return [list(each) for each in cut]
        return [type(value)(*each) for each in cut] if hasattr(value, "_fields") else cut
    return [value] * devices


def sampler_shares(samples: int, ranks: int, *, drop_last: bool = False) -> list[list[int]]:
    """The samples that DistributedSampler gives each rank of a data set, unshuffled.

    All ranks get equally many: the first samples come a second time to fill up, or with `drop_last` the last are left out.
    """
    each = samples // ranks if drop_last else -(-samples // ranks)
    order = [index % samples for index in range(each * ranks)]
    return [order[rank::ranks] for rank in range(ranks)]
