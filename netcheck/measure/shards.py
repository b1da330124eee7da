"""The shards of a batch against the whole: outputs and gradients, run for real on copies of the model on the CPU.

    compare(axes, samples, devices) -> Comparison

    whole     y = f(x)                 g = d/dw <c, y> / N               for one random cotangent c
    shard d   y_d = f(x_d)             g_d = d/dw <c_d, y_d> / N_d
    joined    outputs: y_0, y_1 ...    gradients: sum of g_d N_d / N; their plain mean is what DistributedDataParallel takes

Dropout is off and random numbers are at their means (`netcheck.measure.chance`). A SyncBatchNorm takes its statistics over
all devices here too: the shards then run in threads, which meet at every such layer (`Meeting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from netcheck.figures.batches import Comparison, ParallelRun
from netcheck.load.held import changing_only_itself
from netcheck.load.randomness import seeded
from netcheck.load.untouched import default_dtype
from netcheck.measure.axes import BatchAxes
from netcheck.measure.chance import Chanceless, chanceless_copy
from netcheck.measure.differences import (
    Axes,
    Loss,
    Result,
    batch_axis,
    difference,
    gradient_difference,
    joined_outputs,
)
from netcheck.measure.distributed import REPLICAS, UNFINISHED, Ranks, Results
from netcheck.measure.job import Job
from netcheck.measure.meeting import Meeting
from netcheck.measure.ranks import Outcome
from netcheck.measure.scatter import chunk_sizes
from netcheck.torch_versions import BatchNormalization
from netcheck.trace import structure

RANDOM = "forward draws random numbers of its own, and gives something else each time"


class CannotCompareError(Exception):
    """The shards could not be run: the text says why."""


@dataclass(frozen=True)
class Runs:
    """What the ranks of a comparison came to.

    Attributes:
        first: under DistributedDataParallel.
        again: once more, where it missed gradients: it looks for the parameters that get none.
        parallel: under nn.DataParallel.
    """

    first: Results
    again: Results | None
    parallel: Results


def compare(
    axes: BatchAxes,
    samples: int,
    devices: int,
    *,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    ranks: Ranks | None = None,
) -> Comparison:
    """Run a batch as a whole and in the shards that `devices` get, and compare.

    With `ranks`, the shards run under DistributedDataParallel in processes, where that can be; otherwise one after the other.

    Raises:
        CannotCompareError: the model cannot be copied, or does not run on the CPU in either precision.
    """
    try:
        return _Comparison(axes, samples, devices, dtype, seed).made(ranks)
    except CannotCompareError:
        if dtype is torch.float64:
            return compare(axes, samples, devices, dtype=torch.float32, seed=seed, ranks=ranks)
        raise


class _Comparison:
    def __init__(self, axes: BatchAxes, samples: int, devices: int, dtype: torch.dtype, seed: int) -> None:
        self.axes, self.samples, self.dtype, self.seed = axes, samples, dtype, seed
        self.rounds = False  # whether forward computes something in less than double precision
        self.sizes = chunk_sizes(samples, devices)
        self.starts = [sum(self.sizes[:device]) for device in range(len(self.sizes))]
        try:
            with default_dtype(dtype), seeded(seed):
                self.model = chanceless_copy(axes.model, dtype)
        except Exception as error:
            raise CannotCompareError(f"the model cannot be copied: {type(error).__name__}: {error}") from error
        self.state = [
            (module, name, buffer.clone())
            for module in self.model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]

    def made(self, ranks: Ranks | None) -> Comparison:
        """The comparison, on `ranks` if there are any."""
        with changing_only_itself(self.model), default_dtype(self.dtype), seeded(self.seed), torch.enable_grad():
            whole_outputs, given = self.whole_outputs()
            self.require_repeatable(whole_outputs, given)
            try:
                shard_outputs = self.forward(self.cut(given))
            except Exception as error:
                return self.failed(error)
            by_output = zip(whole_outputs, zip(*shard_outputs, strict=True), strict=True)
            axes = [batch_axis(whole, parts) for whole, parts in by_output]
            loss = Loss([torch.randn_like(output) for output in whole_outputs], axes, self.samples)
            # Before the first backward here: beside an accelerator none runs in processes that are forked after it.
            runs = self.on_ranks(ranks, given, loss) if ranks is not None and self.trains(whole_outputs, loss) else None
            whole = self.result(whole_outputs, loss, 0, self.samples)
            found = self.figures(whole, self.results(shard_outputs, loss), axes)
            found = replace(found, synced=self.synced(whole, loss, given))
            return found if runs is None or not whole.gradients else self.with_ranks(found, runs, whole, loss)

    def trains(self, outputs: Sequence[torch.Tensor], loss: Loss) -> bool:
        """Whether there are shards and gradients to compare."""
        learns = any(parameter.requires_grad for parameter in self.model.parameters())
        return learns and len(self.sizes) > 1 and loss(outputs, 0, self.samples) is not None

    def on_ranks(self, ranks: Ranks, given: Any, loss: Loss) -> Runs:
        """The shards under DistributedDataParallel or FSDP2, and nn.DataParallel, which are handed a copy of their own."""
        with seeded(self.seed):
            model = chanceless_copy(self.axes.model, self.dtype)
        job = Job(model, self.run, self.cut(given), self.sizes, loss, given, ranks.strategy)
        first = ranks(job)
        again = ranks(job, find_unused=True) if UNFINISHED in failure_of(first.outcomes or ()) else None
        return Runs(first, again, ranks.in_parallel(job))

    def with_ranks(self, found: Comparison, runs: Runs, whole: Result, loss: Loss) -> Comparison:
        """`found`, which replicas gave, with the figures from ranks of DistributedDataParallel where those could run."""
        results, stalled = runs.first, ""
        if runs.again is not None and runs.again.outcomes is not None and found.unused:
            stalled, results = failure_of(results.outcomes or ()), runs.again
        found = replace(found, engine=results.engine, data_parallel=self.in_parallel(runs.parallel, whole))
        if results.outcomes is None:
            return found
        found = replace(found, stalled=stalled, failure=failure_of(results.outcomes))
        if found.failure:
            return found
        values = [outcome.value for outcome in results.outcomes]
        weights = [size / self.samples for size in self.sizes]
        outputs = joined_outputs([value["outputs"] for value in values], loss.axes, weights)
        return replace(
            found,
            outputs=difference(outputs, whole.outputs),
            gradients=whole.gradients_differ(values[0]["weighted"]),
            mean_of_means=whole.gradients_differ(values[0]["plain"]),
            by_rank=tuple(differing(value["buffers"] for value in values)),
        )

    def in_parallel(self, results: Results, whole: Result) -> ParallelRun | None:
        """How far nn.DataParallel is from the whole batch; None where there is nothing to run it on."""
        if results.outcomes is None:
            return None
        (outcome,) = results.outcomes
        if outcome.failure:
            return ParallelRun(results.engine, float("inf"), None, outcome.failure)
        return ParallelRun(
            results.engine,
            difference(outcome.value["outputs"], whole.outputs),
            whole.gradients_differ(outcome.value["gradients"]),
        )

    def whole_outputs(self) -> tuple[list[torch.Tensor], Any]:
        """The outputs for all samples at once, and the arguments: mixed anew, or the example's rows where that fails."""
        failure: Exception | None = None
        for rows in (False, True):
            given = self.axes.drawn(self.samples, seed=self.seed, rows=rows, dtype=self.dtype)
            try:
                return self.forward([given])[0], given
            except Exception as error:
                failure = failure or error
        raise CannotCompareError(f"forward raised {type(failure).__name__}: {failure}") from failure

    @property
    def precision(self) -> str:
        """That of the least exact operation seen."""
        return "float32" if self.rounds else str(self.dtype).removeprefix("torch.")

    def require_repeatable(self, outputs: list[torch.Tensor], given: Any) -> None:
        """Run once more, with other random numbers.

        Raises:
            CannotCompareError: the outputs are not the same.
        """
        with torch.no_grad():
            again = self.forward([given])[0]
        if difference(again, [output.detach() for output in outputs]) > (1e-9 if self.precision == "float64" else 1e-4):
            raise CannotCompareError(RANDOM)

    def cut(self, given: Any) -> list[Any]:
        """The arguments of each shard."""
        return [self.axes.cut(given, start, size) for start, size in zip(self.starts, self.sizes, strict=True)]

    def forward(self, batches: Sequence[Any], meeting_at: type[nn.Module] = nn.SyncBatchNorm) -> list[list[torch.Tensor]]:
        """The floating-point outputs for each of several arguments, all from the same state."""
        batches = [structure.rebuild(batch, torch.clone) for batch in batches]
        layers = [m for m in self.model.modules() if isinstance(m, meeting_at) and m.training]
        if len(batches) > 1 and layers:
            self.restore()
            with Meeting(len(batches)).at(layers) as meeting:
                return meeting.each(lambda device: self.run(self.model, batches[device]))
        outputs = []
        for batch in batches:
            self.restore()
            outputs.append(self.run(self.model, batch))
        return outputs

    def run(self, model: nn.Module, given: Any) -> list[torch.Tensor]:
        """The floating-point tensors of the output; `model` is this comparison's, perhaps wrapped."""
        args, kwargs = given
        with torch.enable_grad(), Chanceless() as chanceless:
            result = model(*args, **kwargs)
        self.rounds = self.rounds or chanceless.rounds
        return [tensor for _, tensor in structure.tensors(result) if tensor.is_floating_point()]

    def restore(self) -> None:
        """Give the model buffers with the values from before any run: replicas do not see what others wrote.

        New ones: what earlier runs keep for their backward passes must stay as it is.
        """
        for module, name, before in self.state:
            module._buffers[name] = before.clone()

    def results(self, shards: Sequence[Sequence[torch.Tensor]], loss: Loss) -> list[Result]:
        """What each shard's run came to."""
        places = zip(shards, self.starts, self.sizes, strict=True)
        return [self.result(outputs, loss, start, size) for outputs, start, size in places]

    def result(self, outputs: Sequence[torch.Tensor], loss: Loss, start: int, size: int) -> Result:
        """One run's outputs, and its gradients of the loss."""
        parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        total = loss(outputs, start, size)
        if total is None or not parameters:
            return Result([output.detach() for output in outputs], {})
        found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True, retain_graph=True)
        gradients = dict(zip(parameters, found, strict=True))
        return Result(
            [output.detach() for output in outputs],
            {name: gradient for name, gradient in gradients.items() if gradient is not None},
            tuple(name for name, gradient in gradients.items() if gradient is None),
        )

    def figures(self, whole: Result, shards: Sequence[Result], axes: Axes) -> Comparison:
        """The differences between the joined shards and the whole."""
        weights = [size / self.samples for size in self.sizes]
        equal_weights = [1 / len(shards)] * len(shards)
        outputs = joined_outputs([shard.outputs for shard in shards], axes, weights)
        has_gradients = bool(whole.gradients)
        return Comparison(
            samples=self.samples,
            dtype=self.precision,
            outputs=difference(outputs, whole.outputs),
            gradients=gradient_difference(shards, weights, whole) if has_gradients else None,
            mean_of_means=gradient_difference(shards, equal_weights, whole) if has_gradients else None,
            unused=whole.unused,
            losses=tuple(float(s.outputs[0]) for s in shards if len(s.outputs) == 1 and not s.outputs[0].dim()),
            engine=REPLICAS,
        )

    def synced(self, whole: Result, loss: Loss, given: Any) -> float | None:
        """The larger difference that is left when every batch normalization takes its statistics over all devices."""
        layers = [m for m in self.model.modules() if isinstance(m, BatchNormalization) and m.training]
        if not layers or len(self.sizes) == 1:
            return None
        try:
            outputs = self.forward(self.cut(given), meeting_at=BatchNormalization)
        except Exception:
            return None
        return self.figures(whole, self.results(outputs, loss), loss.axes).largest

    def failed(self, error: BaseException) -> Comparison:
        """What to say where a shard raises though the whole batch does not."""
        text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        return Comparison(
            samples=self.samples,
            dtype=self.precision,
            outputs=float("inf"),
            gradients=None,
            mean_of_means=None,
            engine=REPLICAS,
            failure=f"forward on a share of {self.sizes[-1]} of {self.samples} samples raised {text}",
        )


def differing(buffers: Iterable[Mapping[str, torch.Tensor]]) -> Iterator[str]:
    """The names of buffers that do not have one value on all ranks."""
    first, *others = buffers
    for name, value in first.items():
        if not all(torch.equal(value, other[name]) for other in others if name in other):
            yield name


def failure_of(outcomes: Sequence[Outcome]) -> str:
    """What became of the ranks, if one failed: of several, one whose failure is of the model."""
    failed = [(rank, each) for rank, each in enumerate(outcomes) if each.failure]
    if not failed:
        return ""
    rank, outcome = min(failed, key=lambda pair: pair[1].inconclusive)
    return f"rank {rank} of {len(outcomes)} {outcome.failure}"
