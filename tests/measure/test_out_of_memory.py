"""Where a device's memory is used up: fewer samples, and nothing of the failed attempt is left when the next one runs."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from netcheck.errors import ProbeError
from netcheck.measure import plan as planning
from netcheck.measure.gradients import probe
from netcheck.measure.passes import Stage
from netcheck.trace.run import trace

MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB"


class Notes:
    """What runs of a model tell a test. In slots: other things that forward writes to are as before when a run has ended."""

    __slots__ = ("left", "most", "ran", "seen")

    def __init__(self) -> None:
        self.most = 1000  # samples that there is memory for
        self.seen: list[tuple[int, weakref.ref[torch.Tensor]]] = []  # what was computed, at which batch
        self.ran: list[int] = []  # the batch of each run
        self.left: list[tuple[int, int]] = []  # (batch of a run, batch of what was left of another when it began)

    def begin(self, samples: int) -> None:
        self.left += [(samples, other) for other, tensor in self.seen if tensor() is not None and other != samples]
        self.ran.append(samples)

    def note(self, *tensors: torch.Tensor) -> None:
        self.seen += [(len(tensor), weakref.ref(tensor)) for tensor in tensors]

    def require_memory(self, samples: int) -> None:
        if samples > self.most:
            raise torch.OutOfMemoryError(MESSAGE)


class Hungry(torch.autograd.Function):
    """The identity, for which there may be too little memory in forward or in backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, where: str, notes: Notes) -> torch.Tensor:
        ctx.where, ctx.notes = where, notes
        if where == "forward":
            notes.require_memory(len(x))
        return x * 1

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        if ctx.where == "backward":
            ctx.notes.require_memory(len(gradients[0]))
        return gradients[0] * 1, None, None


class Net(nn.Module):
    """Notes what it computes with, and whether that of earlier runs at other batches is still there."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.notes = where, Notes()
        self.first, self.middle, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.notes.begin(len(x))
        h = self.first(x)
        self.notes.note(x, h)
        y = Hungry.apply(h, self.where, self.notes)
        z = torch.tanh(self.middle(y))
        self.notes.note(y, z)
        return self.last(z)


@pytest.fixture(autouse=True)
def _by_itself() -> Iterator[None]:
    """What goes must go because it is let go, not because the collector happens to come."""
    gc.disable()
    yield
    gc.enable()


def traced(where: str, most: int) -> tuple[Net, Any, torch.Tensor]:
    """A model, its graph and its input, with memory for so many samples from now on."""
    model, x = Net(where), torch.randn(4, 6)
    graph = trace(model, (x,))
    gc.collect()
    model.notes = Notes()
    model.notes.most = most
    return model, graph, x


@pytest.fixture(params=["followed", "recorded"])
def _by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a run is watched: a recorder raises errors of its own, which hold what was computed in circles."""
    if request.param == "recorded":
        monkeypatch.setattr(Stage, "follow", lambda *_: None)


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize(("most", "tried"), [(20, [32, 16]), (8, [32, 16, 8]), (2, [32, 16, 8, 4, 2])])
def test_the_batch_is_halved_and_nothing_of_the_failed_attempt_is_left(where: str, most: int, tried: list[int]) -> None:
    model, graph, x = traced(where, most)
    found = probe(graph, (x,), device="cpu")
    assert found.batch == tried[-1]
    assert found.remarks == tuple(f"out of memory with {a} samples: {b} used" for a, b in itertools.pairwise(tried))
    assert list(dict.fromkeys(model.notes.ran)) == tried
    assert model.notes.left == []


@pytest.mark.usefixtures("_by")
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_device_that_holds_not_even_two_samples_is_told(where: str) -> None:
    model, graph, x = traced(where, 0)
    with pytest.raises(ProbeError, match=r"the real pass failed: .*CUDA out of memory") as raised:
        probe(graph, (x,), device="cpu")
    assert model.notes.left == []
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert [samples for samples, tensor in model.notes.seen if tensor() is not None] == []


def test_a_model_that_does_not_fit_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    _, graph, x = traced("forward", 100)
    monkeypatch.setattr(planning, "free_memory", lambda device: 100)
    with pytest.raises(ProbeError, match="Net does not fit into the memory of cpu"):
        probe(graph, (x,), device="cpu")


def test_a_pass_that_a_cpu_would_take_minutes_for_is_not_made_there_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    _, graph, x = traced("forward", 100)
    example = planning.Example.of(graph, (x,), {})
    monkeypatch.setattr(planning, "find_device", lambda name: torch.device("meta"))
    devices = [plan.device.type for plan in planning.plans(graph, example, "auto")]
    assert devices[-1] == "cpu"
    monkeypatch.setattr(planning, "work_per_sample", lambda *_: 1e12)
    assert {plan.device.type for plan in planning.plans(graph, example, "auto")} == {"meta"}
    monkeypatch.setattr(planning, "work_per_sample", lambda *_: 1e9)
    last = list(planning.plans(graph, example, "auto"))[-1]
    assert last.device.type == "cpu"
    assert (last.samples or 0) * last.passes * 3e9 <= planning.CPU_WORK
