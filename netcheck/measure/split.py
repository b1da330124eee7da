"""How a batch splits over devices: what each sees, on fake tensors; whether that gives the same, on real ones.

split(graph, args, kwargs, devices=4, samples=50) -> Batches
  +-- BatchAxes.graph_at     forward at the whole batch and at a share: fake tensors, nothing is computed
  +-- scatter                what nn.DataParallel hands to each device
  +-- find_mixing            which operations mix samples
  +-- compare                outputs and gradients of the shards against the whole batch's

What takes too much to run is compared on smaller images or shorter sequences; what cannot be smaller is judged operation by
operation, one of each kind of layer; what cannot be run at all, from shapes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from netcheck.errors import TraceError
from netcheck.figures.batches import Batches, Comparison, Operation, Shard
from netcheck.measure.axes import BatchAxes, retraced
from netcheck.measure.collector import rarely_collected
from netcheck.measure.distributed import Ranks
from netcheck.measure.gather import gathered
from netcheck.measure.hard_coded import find_hard_coded, recorded_until
from netcheck.measure.mixing import WHOLE, UnjudgedError, find_mixing
from netcheck.measure.on_shapes import mixing_by_shapes
from netcheck.measure.scatter import CannotScatterError, chunk_sizes, sampler_shares, scatter
from netcheck.measure.shards import RANDOM, CannotCompareError, compare
from netcheck.measure.size import COMPARED_FLOPS, EXACT_FLOPS, MOST_BYTES, MOST_FLOPS, PASSES, Size
from netcheck.measure.small_images import is_alike, smaller_arguments
from netcheck.trace import structure
from netcheck.trace.attempts import can_run_for_real
from netcheck.trace.kinds import Kind
from netcheck.trace.run import trace

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node
    from netcheck.trace.recording import Recording

DEFAULT_DEVICES = 2
OPERATIONS = "operation by operation, one of each kind"  # how it was judged
SHAPES = "operation by operation, on fake tensors"


def split(
    graph: ModelGraph,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    devices: int,
    samples: int | None = None,
    run: bool = True,
    seed: int = 0,
    ranks: Ranks | None = None,
) -> Batches:
    """How a batch of `samples` splits over `devices`.

    Args:
        graph: the traced model.
        args: positional arguments of forward that it was traced with.
        kwargs: its keyword arguments.
        devices: how many.
        samples: of the batch; None means as many as the arguments hold.
        run: whether to run the shards for real; otherwise only what shapes tell is found.
        seed: of the numbers that are drawn for it.
        ranks: what to run the shards on beside replicas, one after the other; None: nothing.
    """
    axes = BatchAxes(graph.model, args, kwargs)
    if not axes.batch:
        return Batches(samples or 0, devices, unjudged="no argument has a batch dimension")
    found = on_paper(graph, axes, devices, samples or axes.batch)
    if ranks is not None and ranks.strategy == "dp":
        with suppress(TraceError):
            found = replace(found, gathered=gathered(graph, axes.graph_at(2 * axes.batch), devices))
    if not run or found.size_fault:
        return found
    if not can_run_for_real(graph.model):
        return by_operation(graph, axes, found, None)
    return on_samples(graph, axes, found, seed, ranks)


@rarely_collected()
def on_paper(graph: ModelGraph, axes: BatchAxes, devices: int, samples: int) -> Batches:
    """What shapes alone tell."""
    ranks = sampler_shares(samples, devices)
    found = Batches(
        samples,
        devices,
        axes.batch,
        sampler=tuple(map(len, ranks)),
        duplicates=sum(map(len, ranks)) - samples,
        norms=tuple(operation(node, graph, axes.batch) for node in graph if normalizes_batch(node)),
    )
    share = min(chunk_sizes(samples, devices))
    # A share that is a multiple of the example runs if the whole batch does, which is one too.
    sizes = {samples, *([] if share % axes.batch == 0 == samples % axes.batch else [share])} - {axes.batch} or {2 * axes.batch}
    recording, fault = at_sizes(axes, sizes)
    if fault is not None:
        size, error = fault
        # A share may be too small for a model that runs at any batch of some size.
        if size < axes.batch and at_sizes(axes, {2 * axes.batch + 1})[1] is None:
            found = replace(
                found,
                share_fault=f"forward on a share of {size} of {samples} samples: {error}",
                fault_at=error.location,
            )
        else:
            found = replace(found, size_fault=f"at a batch of {size}: {error}", fault_at=error.location)
            recording = recorded_until(axes, size)
    if recording is not None and not found.share_fault:
        fixed = find_hard_coded(graph, recording, axes.batch, failed=bool(found.size_fault))
        found = replace(found, fixed=None if fixed is None else operation(fixed, graph))
    found = replace(found, inputs=tuple(axes.inputs(samples)))
    whole = axes.resized(samples)
    try:
        shares = scatter(*whole, devices)
    except CannotScatterError as error:
        return replace(found, refusal=str(error))
    shards = [shard_of(device, (share.args, share.kwargs), axes) for device, share in enumerate(shares)]
    return replace(found, shards=tuple(shards))


def at_sizes(axes: BatchAxes, sizes: Collection[int]) -> tuple[Recording | None, tuple[int, TraceError] | None]:
    """What forward does at the largest of these batch sizes; and the largest at which it does not run, and how it fails."""
    recording = None
    for size in sorted(sizes, reverse=True):
        try:
            graph = axes.graph_at(size)
        except TraceError as error:
            return recording, (size, error)
        recording = recording or graph.recording
    return recording, None


def shard_of(device: int, given: tuple[Any, Any], axes: BatchAxes) -> Shard:
    """What one device sees: its samples are those of the first tensor that holds the batch in dimension 0."""
    shapes = [tuple(tensor.shape) for _, tensor in structure.tensors(given)]
    return Shard(device, next((shape[0] for shape in shapes if shape), 0), tuple(shapes))


@rarely_collected()
def on_samples(graph: ModelGraph, axes: BatchAxes, found: Batches, seed: int, ranks: Ranks | None) -> Batches:
    """What running the model tells: whole batches where a CPU can bear it, else smaller inputs, else operation by operation."""
    size = Size.of(graph, axes.batch)
    if is_bearable(size, size.affordable(found.batch_size, found.devices)):
        return run_whole(graph, axes, found, size, seed, ranks)
    for args, kwargs, how in smaller_arguments(graph):
        with suppress(TraceError):
            other = trace(graph.model, args, kwargs) if graph.tensors == "real" else retraced(graph.model, args, kwargs)
            small = Size.of(other, axes.batch)
            if not is_alike(graph, other):  # it does something else on smaller inputs: on a little larger ones as well
                break
            return by_operation(graph, BatchAxes(graph.model, args, kwargs), found, small, how)
    return by_operation(graph, axes, found, size)


def is_bearable(size: Size, samples: int) -> bool:
    """Whether so many samples can be compared, and operations judged one by one, without waiting for long."""
    return 2 * WHOLE * size.activations <= MOST_BYTES and max(PASSES * samples, 2 * WHOLE) * size.flops <= COMPARED_FLOPS


def run_whole(graph: ModelGraph, axes: BatchAxes, found: Batches, size: Size, seed: int, ranks: Ranks | None) -> Batches:
    """What the shards give beside the whole batch, and which operations mix samples."""
    exact = 2 * WHOLE * size.flops <= EXACT_FLOPS
    try:
        mixing = find_mixing(axes, dtype=torch.float64 if exact else torch.float32)
        found = replace(found, mixing=tuple(in_graph(node, graph) for node in mixing))
    except UnjudgedError as error:
        found = replace(found, unjudged=str(error))
    comparison = compared(axes, found, size, seed, ranks)
    if isinstance(comparison, str):
        if comparison == RANDOM:  # what seemed to mix samples may have drawn other numbers for them
            found = replace(found, mixing=())
        return replace(found, unjudged=found.unjudged or comparison)
    shards = found.shards
    if len(comparison.losses) == len(shards) and comparison.samples == found.batch_size:
        shards = tuple(replace(s, loss=loss) for s, loss in zip(shards, comparison.losses, strict=True))
    return replace(found, comparison=comparison, shards=shards)


def compared(axes: BatchAxes, found: Batches, size: Size, seed: int, ranks: Ranks | None) -> Comparison | str:
    """The shards against the whole batch; or why they could not be compared."""
    samples = size.affordable(found.batch_size, found.devices)
    dtype = torch.float64 if PASSES * samples * size.flops <= EXACT_FLOPS else torch.float32
    try:
        return compare(axes, samples, found.devices, dtype=dtype, seed=seed, ranks=ranks)
    except CannotCompareError as error:
        return str(error)


def by_operation(graph: ModelGraph, axes: BatchAxes, found: Batches, size: Size | None, how: str = "") -> Batches:
    """Which operations mix samples, where the shards take too much to run: one of each kind is run, or told from shapes.

    `size` is what a sample takes; None where nothing can be run. `how` says on which inputs.
    """
    if size is not None and 2 * size.activations <= MOST_BYTES and size.flops <= MOST_FLOPS:
        with suppress(UnjudgedError):
            nodes = find_mixing(axes, dtype=torch.float32, once=True)
            return judged(graph, found, nodes, f"{OPERATIONS}{', ' * bool(how)}{how}")
    try:
        return judged(graph, found, mixing_by_shapes(axes), SHAPES)
    except UnjudgedError as error:
        return replace(found, unjudged=str(error))


def judged(graph: ModelGraph, found: Batches, mixing: Sequence[Node], how: str) -> Batches:
    """`found`, with the operations that mix samples and how that was told."""
    return replace(found, mixing=tuple(in_graph(node, graph) for node in mixing), judged=how)


def in_graph(node: Node, graph: ModelGraph) -> Operation:
    """An operation of another run of the same model as one of `graph`, which knows the user's lines."""
    twin = next((other for other in graph if other.name == node.name and other.path == node.path), node)
    return operation(twin, graph)


def operation(node: Node, graph: ModelGraph, batch: int | None = None) -> Operation:
    """A node as plain data; of a batch normalization with how many values of a channel each of `batch` samples gives."""
    shape = tuple(map(int, node.shape)) if node.shape is not None else None
    values = prod(shape) // (shape[1] * batch) if batch and shape and len(shape) > 1 and shape[1] else None
    return Operation(
        name=node.name,
        target=node.target,
        kind=str(node.kind),
        detail=node.detail,
        path=node.path,
        module=None if node.module is None else type(node.module).__name__,
        shape=shape,
        built_at=graph.built_at(node.path) if node.module is not None else None,
        called_at=node.called_at,
        values=values,
    )


def normalizes_batch(node: Node) -> bool:
    """Whether a node is a batch normalization that takes its statistics from the batch on its own device."""
    if node.kind is not Kind.NORM or node.detail != "batch" or not node.depends:
        return False
    if node.module is not None:
        return node.training and not isinstance(node.module, torch.nn.SyncBatchNorm)
    return node.function in ("batch_norm", "native_batch_norm") and bool(node.argument(5, "training", False))
