"""What each device gets, against torch.chunk, torch's own scatter run on the CPU, and DistributedSampler."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn.parallel import scatter_gather
from torch.utils.data import DistributedSampler, TensorDataset

from netcheck.measure.scatter import CannotScatterError, chunk_sizes, sampler_shares, scatter
from tests.trace.replay import require_equal


class OnCpu:
    """In the place of torch's Scatter: the same cut (comm.scatter calls Tensor.chunk), without devices."""

    @staticmethod
    def apply(devices: list[int], sizes: None, dim: int, tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tensor.chunk(len(devices), dim)


def by_torch(args: tuple[Any, ...], kwargs: dict[str, Any], devices: int) -> list[tuple[Any, Any]]:
    """What DataParallel.forward hands to parallel_apply, by torch's own code."""
    inputs, named = scatter_gather.scatter_kwargs(args, kwargs, list(range(devices)))
    if not inputs and not named:
        inputs, named = ((),), ({},)
    if devices == 1:
        return [(inputs[0], named[0])]
    assert len(inputs) == len(named)  # parallel_apply's own assertion
    return list(zip(inputs, named, strict=True))


@pytest.fixture(autouse=True)
def without_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scatter_gather, "Scatter", OnCpu)


@pytest.mark.parametrize("devices", range(1, 18))
def test_sizes_are_those_of_chunk(devices: int) -> None:
    for size in range(131):
        assert chunk_sizes(size, devices) == [len(piece) for piece in torch.zeros(size).chunk(devices)]


@pytest.mark.parametrize("devices", range(1, 18))
def test_shares_of_a_batch_are_those_of_torch(devices: int) -> None:
    for size in range(1, 131):
        x = torch.arange(2 * size).view(size, 2)
        ours = [(share.args, share.kwargs) for share in scatter((x,), {"twice": {"x": x}}, devices)]
        require_equal(ours, by_torch((x,), {"twice": {"x": x}}, devices))


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Batch:
    x: torch.Tensor


x, y = torch.arange(20.0).view(10, 2), torch.arange(10)
TRAPS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "one tensor": ((x,), {}),
    "a broadcast tensor beside a batch: samples are dropped": ((x, torch.ones(1, 2)), {}),
    "a hidden state (L, N, H)": ((x, torch.zeros(2, 10, 3)), {}),
    "unequal first dimensions": ((x, torch.zeros(7)), {}),
    "a keyword tensor shorter than the batch": ((x, y), {"mask": torch.ones(1, 2)}),
    "a keyword tensor longer than the positional ones": ((torch.ones(1, 2),), {"x": x}),
    "keywords alone": ((), {"x": x, "y": y}),
    "nothing": ((), {}),
    "nothing but a number": ((3,), {}),
    "strings, None and numbers": ((x, "mean", None, 3), {"flag": True, "name": "a"}),
    "lists": (([x, y],), {"parts": [x, [y]]}),
    "empty containers": ((x, [], (), {}), {"more": []}),
    "tuples and namedtuples": ((Pair(x, y), (x, "word")), {}),
    "nested dicts": (({"a": {"b": x}, "c": y},), {"d": OrderedDict(e=x)}),
    "a dataclass goes to all as it is": ((x, Batch(x)), {}),
    "an empty batch": ((torch.zeros(0, 2),), {}),
    "one sample": ((x[:1],), {}),
}


@pytest.mark.parametrize("devices", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_goes_as_in_torch(trap: str, devices: int) -> None:
    args, kwargs = TRAPS[trap]
    try:
        expected = by_torch(args, kwargs, devices)
    except AssertionError:
        with pytest.raises(CannotScatterError, match="pieces"):
            scatter(args, kwargs, devices)
        return
    ours = [(share.args, share.kwargs) for share in scatter(args, kwargs, devices)]
    require_equal(ours, expected)


def test_a_keyword_that_does_not_pair_up_fails_in_torch_too() -> None:
    arguments = (x,), {"mask": torch.ones(1, 2)}
    with pytest.raises(AssertionError):
        by_torch(*arguments, devices=4)
    with pytest.raises(CannotScatterError, match="in 4 pieces and the keyword arguments in 1"):
        scatter(*arguments, devices=4)


@pytest.mark.parametrize("place", ["positional", "keyword", "nested"])
def test_a_tensor_without_dimensions_cannot_be_cut(place: str) -> None:
    scalar = torch.tensor(3.0)
    args: tuple[Any, ...] = {"positional": (x, scalar), "keyword": (x,), "nested": ([x, {"a": scalar}],)}[place]
    kwargs = {"scale": scalar} if place == "keyword" else {}
    with pytest.raises(RuntimeError, match="at least a 1-dimensional"):
        by_torch(args, kwargs, 2)
    with pytest.raises(CannotScatterError, match="without dimensions"):
        scatter(args, kwargs, 2)


@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_get_what_the_sampler_gives_them(drop_last: bool) -> None:
    for samples in range(1, 60):
        data = TensorDataset(torch.arange(samples))
        for ranks in range(1, 9):
            if drop_last and samples < ranks:
                continue  # the sampler has nothing to give
            expected = [list(DistributedSampler(data, ranks, rank, shuffle=False, drop_last=drop_last)) for rank in range(ranks)]
            assert sampler_shares(samples, ranks, drop_last=drop_last) == expected
