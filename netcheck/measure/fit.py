"""Which batch fits a device: the cost at the batch that was asked for, and the largest batch that the memory holds.

What is there at one moment grows by the same number of bytes with every sample, so two batches tell it for all; which
moment is the highest may change with the batch. Where somebody names the device, or a step comes close to what it has, the
step is followed on fake tensors, backward too, and what would make it fit is looked for (`netcheck.measure.ways`); where that
cannot be, the operations' own costs tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from netcheck.errors import TraceError
from netcheck.figures.cost import Cost, Memory
from netcheck.measure.accelerators import drivers_at_rest
from netcheck.measure.axes import BatchAxes
from netcheck.measure.cost import total
from netcheck.measure.peak import loads
from netcheck.measure.replay import Step, replay
from netcheck.measure.size import Size
from netcheck.measure.ways import Predictor, Setup, fit_of

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph

CLOSE = 0.8  # of the device's memory: a step that takes more is looked at more closely


def cost_on_device(
    graph: ModelGraph,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    samples: int | None = None,
    device_memory: int | None = None,
    ways: bool = True,
) -> Cost:
    """What a training step costs, and which batch fits.

    Args:
        graph: the traced model.
        args: positional arguments of forward that it was traced with.
        kwargs: its keyword arguments.
        samples: of the batch; None means as many as the arguments hold.
        device_memory: bytes; None means what the accelerator has, if there is one.
        ways: whether to follow the step where that is asked for, and to look for what would make it fit.

    Raises:
        TraceError: forward does not run at this batch.
        NotImplementedError, RuntimeError: a parameter cannot be faked.
    """
    axes = BatchAxes(graph.model, args, kwargs)
    here = Replayed(graph, replay(graph, args, kwargs), axes.batch)
    found = here.cost
    if samples is not None and axes.batch and samples != axes.batch:
        if takes_too_much(graph, axes, samples):
            found = scaled(here, replayed(axes, 2 * axes.batch), samples)
        else:
            here = replayed(axes, samples)
            found = here.cost
    memory = accelerator_memory() if device_memory is None else device_memory
    if memory is None:
        return found
    if ways and (device_memory is not None or found.peak_bytes > CLOSE * memory):
        with suppress(Exception):  # of forward or backward on fake tensors
            return followed(axes, found, memory)
    return replace(found, device_memory=memory, largest_batch=largest_batches(axes, here, found, memory))


def followed(axes: BatchAxes, found: Cost, memory: int) -> Cost:
    """The cost with the memory of a step that is followed, forward and backward, and with what would make it fit.

    Raises:
        Exception: forward or backward do not run on fake tensors.
    """
    fit, predictor = fit_of(axes, found.batch_size or 1, memory, found)
    setups = {name: Setup(predictor.samples, name) for name in found.memory}
    largest = None
    if axes.batch:
        with suppress(Exception):  # it runs at one size
            largest = {name: most_samples_of(predictor, setup, memory) for name, setup in setups.items()}
    needs = {name: memory_of(predictor, setup) for name, setup in setups.items()}
    return replace(found, device_memory=memory, largest_batch=largest, memory=needs, fit=fit, scaled_from=())


def memory_of(predictor: Predictor, setup: Setup) -> Memory:
    """What a step takes, by what holds it."""
    state, (working, update) = predictor.state(setup), predictor.bytes_at(setup)
    return Memory(
        parameters=state.parameters,
        gradients=state.gradients,
        optimizer=state.fixed - state.parameters,
        working=working,
        update=update - state.gradients,
    )


def most_samples_of(predictor: Predictor, setup: Setup, memory: int) -> int:
    """The most samples whose step is within the memory.

    Raises:
        TraceError: forward does other things at another batch.
    """
    one, two = (predictor.loads_at(replace(setup, samples=samples)) for samples in (setup.samples, 2 * setup.samples))
    room = memory - predictor.state(setup).fixed
    return most_samples(setup.samples, list(zip(one, two, strict=True)), room)


@dataclass(frozen=True)
class Replayed:
    """The operations of a model at one batch.

    Attributes:
        graph: the model at this batch.
        steps: its operations.
        samples: of the batch; 0 where the inputs do not tell.
    """

    graph: ModelGraph
    steps: list[Step]
    samples: int

    @property
    def cost(self) -> Cost:
        """What they cost together."""
        return total(self.graph, self.steps, self.samples or None)

    def loads_beside(self, larger: Replayed) -> list[tuple[int, int]]:
        """Bytes at each moment of the step, here and at a larger batch.

        Raises:
            TraceError: forward does other things there.
        """
        if len(self.steps) != len(larger.steps):
            raise TraceError(
                f"forward runs {len(self.steps)} operations at a batch of {self.samples}, and {len(larger.steps)} at "
                f"{larger.samples}"
            )
        return list(zip(loads(self.steps), loads(larger.steps), strict=True))


def replayed(axes: BatchAxes, samples: int) -> Replayed:
    """The operations at another batch.

    Raises:
        TraceError: forward does not run at this batch.
    """
    graph = axes.graph_at(samples)
    return Replayed(graph, replay(graph, *axes.resized(samples)), samples)


def takes_too_much(graph: ModelGraph, axes: BatchAxes, samples: int) -> bool:
    """Whether forward needs the values of its tensors, and so many samples are too many to run it for real."""
    return graph.tensors == "real" and samples > Size.of(graph, axes.batch).affordable(samples, 1)


def scaled(small: Replayed, large: Replayed, samples: int) -> Cost:
    """The cost of a batch of so many samples, on straight lines through the costs of two others.

    Raises:
        TraceError: forward does other things at the larger of the two.
    """

    def along(first: int, second: int) -> int:
        grown = (second - first) * (samples - small.samples)
        return max(0, first + round(grown / (large.samples - small.samples)))

    def line(first: Any, second: Any, names: Sequence[str]) -> Any:
        """`first` with these numbers carried on."""
        return replace(first, **{name: along(getattr(first, name), getattr(second, name)) for name in names})

    working = max(along(*both) for both in small.loads_beside(large))
    one, other = small.cost, large.cost
    rows = {row.path: row for row in other.layers}
    found: Cost = line(one, other, ("forward", "backward", "saved_bytes"))
    return replace(
        found,
        batch_size=samples,
        memory={name: replace(need, working=working) for name, need in one.memory.items()},
        layers=tuple(line(row, rows.get(row.path, row), ("forward", "backward", "saved")) for row in one.layers),
        scaled_from=(small.samples, large.samples),
    )


def largest_batches(axes: BatchAxes, here: Replayed, found: Cost, memory: int) -> dict[str, int] | None:
    """The most samples whose training step fits, by optimizer; None where the model runs at this batch only."""
    if not here.samples:
        return None
    try:
        both = here.loads_beside(replayed(axes, 2 * here.samples))
    except TraceError:
        return None
    return {name: most_samples(here.samples, both, room) for name, room in rooms(found, memory).items()}


def rooms(found: Cost, memory: int) -> dict[str, int]:
    """The bytes that inputs, activations and gradients may take, by optimizer; below 0 where its update does not fit."""
    return {
        name: memory - need.parameters - need.optimizer
        if need.parameters + need.optimizer + need.gradients + need.update <= memory
        else -1
        for name, need in found.memory.items()
    }


def most_samples(batch: int, both: Sequence[tuple[int, int]], room: int) -> int:
    """The most samples whose memory is within `room` at every moment.

    Args:
        batch: samples.
        both: bytes at each moment, for so many samples and for twice as many.
        room: bytes.
    """
    if room < 0:
        return 0
    return max(0, min(batch + (room - one) * batch // max(two - one, 1) for one, two in both))


def accelerator_memory() -> int | None:
    """The bytes of the first accelerator's memory; None without one."""
    with drivers_at_rest():
        here = torch.cuda.is_available()
    return torch.cuda.get_device_properties(0).total_memory if here else None
