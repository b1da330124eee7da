"""How a batch splits across devices: plain data. Imports no torch.

Batches
  +-- Input            a tensor that forward is given, and the dimension in which it holds the batch
  +-- Shard            what one device's forward sees
  +-- Operation        an operation of forward: one that mixes samples, or that has a batch size written into it
  +-- Comparison       outputs and gradients of the shards against those of the whole batch
        +-- ParallelRun    those of nn.DataParallel, where there are accelerators to run it on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netcheck.figures.cost import Memory
from netcheck.location import Location

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor among the arguments of forward.

    Attributes:
        name: the argument, and the way to the tensor inside it: "x", "state[0]".
        shape: at this batch size.
        axis: the dimension that holds the batch; None: it is the same for every batch.
    """

    name: str
    shape: Shape
    axis: int | None


@dataclass(frozen=True, slots=True)
class Shard:
    """What the forward of one device sees under nn.DataParallel.

    Attributes:
        device: its number, from 0.
        samples: how many samples of the batch it has.
        shapes: of the tensors that forward is given there, in the order of the arguments.
        loss: where forward returns one number, what it was there; None otherwise, or where nothing was run.
        memory: what a training step on these samples takes under DistributedDataParallel, by optimizer; None where nobody
            asked or it cannot be told.
    """

    device: int
    samples: int
    shapes: tuple[Shape, ...]
    loss: float | None = None
    memory: dict[str, Memory] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of forward, with the fields of the graph's node that a finding needs.

    Attributes:
        name: the node's name in the graph.
        target: what is called: "nn.BatchNorm2d", "torch.mean".
        kind, detail: what it is, as in the graph.
        path: module path.
        module: the leaf module's class; None for a function.
        values: of a batch normalization: how many values of each channel one sample gives; None for anything else.
    """

    name: str
    target: str
    kind: str
    detail: str
    path: str
    module: str | None = None
    shape: Shape | None = None
    built_at: Location | None = None
    called_at: Location | None = None
    values: int | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """A part of forward's result that nn.DataParallel does not give back as it was.

    Attributes:
        path: where it is in the result: "[1]", "['loss']".
        shape: at the batch of the example; () of a number.
        axis: its batch dimension; None without one.
        result: the shape that comes back; () where gather raises.
        why: a phrase.
    """

    path: str
    shape: Shape
    axis: int | None
    result: Shape
    why: str


@dataclass(frozen=True, slots=True)
class ParallelRun:
    """What nn.DataParallel gave on real devices, against the whole batch; differences are relative.

    Attributes:
        engine: "nn.DataParallel on 2 devices, cuda".
        outputs: of the gathered outputs.
        gradients: None where it did not come to them.
        failure: what it raised, or how it ended, as the rest of a sentence about it; "" if all went well.
    """

    engine: str
    outputs: float
    gradients: float | None
    failure: str = ""

    @property
    def largest(self) -> float:
        """The larger of the differences."""
        return max(self.outputs, self.gradients or 0.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The shards against the whole batch: run for real, dropout off, random numbers at their means.

    Differences are relative, ||shards - whole|| / ||whole||.

    Attributes:
        samples: that were run; fewer than the batch where the whole would take too long.
        dtype: "float64", or "float32" where forward insists on it.
        outputs: of the joined outputs.
        gradients: of the shards' gradients, each weighted by its samples; None without trainable parameters.
        mean_of_means: of the gradients' plain mean, as DistributedDataParallel takes it.
        synced: the larger of the two with every batch normalization's statistics taken over all devices; None without.
        unused: parameters that no output's gradient reached.
        losses: the output on each device, where it is one number.
        engine: what ran it, and in brackets why no accelerators did, where there are any.
        stalled: what DistributedDataParallel raised for want of the unused parameters' gradients; "" if it did not.
        failure: what a device raised, or why ranks did not end; "" if all went well.
        data_parallel: the same under nn.DataParallel; None where there are no accelerators for it.
        by_rank: buffers that have another value on each rank when the steps are done.
    """

    samples: int
    dtype: str
    outputs: float
    gradients: float | None
    mean_of_means: float | None
    synced: float | None = None
    unused: tuple[str, ...] = ()
    losses: tuple[float, ...] = ()
    engine: str = ""
    stalled: str = ""
    failure: str = ""
    data_parallel: ParallelRun | None = None
    by_rank: tuple[str, ...] = ()

    @property
    def tolerance(self) -> float:
        """The difference that rounding explains."""
        return 1e-9 if self.dtype == "float64" else 1e-4

    @property
    def largest(self) -> float:
        """The larger of the differences of outputs and gradients."""
        return max(self.outputs, self.gradients or 0.0)

    @property
    def equal(self) -> bool:
        """Whether the shards give what the whole batch gives."""
        return not self.failure and self.largest <= self.tolerance

    def equal_to(self, run: ParallelRun) -> bool:
        """Whether nn.DataParallel gives what the whole batch gives, in this comparison's precision."""
        return not run.failure and run.largest <= self.tolerance


@dataclass(frozen=True, slots=True)
class Batches:
    """How one batch splits.

    Attributes:
        batch_size: samples of the batch.
        devices: that it is to be split over.
        example_size: samples of the example that the model was traced on.
        shards: what nn.DataParallel gives each device that works; none if it would raise.
        sampler: how many samples of a data set of this size DistributedSampler gives each rank.
        duplicates: samples that it repeats so that all ranks have equally many.
        inputs: the tensors of forward.
        refusal: why nn.DataParallel would raise, "" if it would not.
        norms: batch normalizations that take their statistics from the samples on one device.
        size_fault: how forward fails at another batch size than the example's, "" if it does not.
        single_fault: what becomes of a batch of one: an output of another shape, or what forward raises; "" if nothing does.
        share_fault: how forward fails on the smallest share, though it runs on the whole batch; "" if it does not.
        fault_at: the line that fails in either case, if known.
        fixed: the operation that has a batch size written into it.
        mixing: operations through which one sample changes another's result, in the order of forward.
        unjudged: why operations could not be judged one by one, "" if they could.
        judged: how operations were judged where the shards were not run; "" if they were, or nothing was judged.
        comparison: the shards, run; None if they were not.
        training_only: whether in eval mode no operation mixes samples.
        doubtful: whether nothing tells that the first dimension is a batch, and nobody asked about one.
        gathered: what nn.DataParallel does not give back as forward returns it; looked for where that is asked about.
    """

    batch_size: int
    devices: int
    example_size: int = 0
    shards: tuple[Shard, ...] = ()
    sampler: tuple[int, ...] = ()
    duplicates: int = 0
    inputs: tuple[Input, ...] = ()
    refusal: str = ""
    norms: tuple[Operation, ...] = ()
    size_fault: str = ""
    single_fault: str = ""
    share_fault: str = ""
    fault_at: Location | None = None
    fixed: Operation | None = None
    mixing: tuple[Operation, ...] = ()
    unjudged: str = ""
    judged: str = ""
    comparison: Comparison | None = None
    training_only: bool = False
    doubtful: bool = False
    gathered: tuple[Gathered, ...] = ()

    @property
    def samples(self) -> tuple[int, ...]:
        """The samples of each device that works."""
        return tuple(shard.samples for shard in self.shards)

    @property
    def dropped(self) -> int:
        """Samples that reach no device."""
        return self.batch_size - sum(self.samples) if self.shards else 0

    @property
    def equal(self) -> bool | None:
        """Whether outputs and gradients of the shards are those of the whole batch; None where they were not compared."""
        return None if self.comparison is None else self.comparison.equal and not self.dropped

    @property
    def engine(self) -> str:
        """What ran the shards: "replicas on the CPU", "gloo, 4 processes on the CPU"; "fake tensors" if nothing did."""
        return self.comparison.engine if self.comparison else "fake tensors"


def mean_of_means(sizes: Sequence[int]) -> float:
    """How far the mean of the means over shares of these sizes is from the mean over all, for independent gradients.

    Relative L2: the rms of a sample's weight over its fair one, sqrt(mean((w_n N - 1)^2)).
    """
    total = sum(sizes)
    off = sum(size * (total / (len(sizes) * size) - 1) ** 2 for size in sizes)
    return float((off / total) ** 0.5)
