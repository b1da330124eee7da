"""The shards of a batch against the whole: outputs and gradients, run for real on copies of the model on the CPU.

    compare(axes, samples, devices) -> Comparison

    whole     y = f(x)                 g = d/dw <c, y> / N               for one random cotangent c
    shard d   y_d = f(x_d)             g_d = d/dw <c_d, y_d> / N_d
    joined    outputs: y_0, y_1 ...    gradients: sum of g_d N_d / N; their plain mean is what DistributedDataParallel takes

Dropout is off and random numbers are at their means (`netcheck.measure.chance`). A SyncBatchNorm takes its statistics over
all devices here too: the shards then run in threads, which meet at every such layer (`Meeting`).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from netcheck.load.randomness import seeded
from netcheck.measure.axes import BatchAxes
from netcheck.measure.batch_figures import Comparison
from netcheck.measure.chance import Chanceless, chanceless_copy
from netcheck.measure.distributed import UNFINISHED, Job, Ranks
from netcheck.measure.mixing import default_dtype
from netcheck.measure.ranks import Outcome
from netcheck.measure.scatter import chunk_sizes
from netcheck.trace import structure

# How a rank ends whose partner is gone.
_MISSED_ANOTHER = ("Connection closed", "Connection reset", "Broken pipe", "Timed out", "did not end")
RANDOM = "forward draws random numbers of its own, and gives something else each time"
MEETING_SECONDS = 60.0  # that a thread waits for the others at a synchronized layer


class CannotCompareError(Exception):
    """The shards could not be run: the text says why."""


@dataclass(frozen=True)
class Result:
    """What one run gave: the floating-point tensors of the output, and a gradient by parameter."""

    outputs: list[torch.Tensor]
    gradients: dict[str, torch.Tensor]
    unused: tuple[str, ...] = ()


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
        with default_dtype(self.dtype), seeded(self.seed), torch.enable_grad():
            whole_outputs, given = self.whole_outputs()
            self.require_repeatable(whole_outputs, given)
            try:
                shard_outputs = self.forward(self.cut(given))
            except Exception as error:
                return self.failed(error)
            by_output = zip(whole_outputs, zip(*shard_outputs, strict=True), strict=True)
            batch = [batch_axis(whole, parts) for whole, parts in by_output]
            cotangents = [torch.randn_like(output) for output in whole_outputs]
            whole = self.result(whole_outputs, cotangents, batch, 0, self.samples)
            shards = [
                self.result(outputs, cotangents, batch, start, size)
                for outputs, start, size in zip(shard_outputs, self.starts, self.sizes, strict=True)
            ]
            found = self.figures(whole, shards, batch)
            found = replace(found, synced=self.synced(whole, cotangents, batch, given))
            if ranks is None or not whole.gradients or len(self.sizes) == 1:
                return found
            self.restore()

            def loss(outputs: Sequence[torch.Tensor], rank: int) -> torch.Tensor | None:
                return mean_product(outputs, cotangents, batch, self.starts[rank], self.sizes[rank])

            weights = [size / self.samples for size in self.sizes]
            job = Job(self.model, self.run, self.cut(given), weights, loss)
            return self.on_ranks(ranks, job, found, whole, batch)

    def on_ranks(
        self, ranks: Ranks, job: Job, found: Comparison, whole: Result, batch: Sequence[int | None]
    ) -> Comparison:
        """The figures from ranks of DistributedDataParallel; those in `found`, which replicas gave, if they cannot run."""
        results = ranks(job)
        if results is None:
            return found
        stalled = ""
        failure = failure_of(results.outcomes)
        if UNFINISHED in failure and found.unused:
            stalled, failure = failure, ""
            results = ranks(job, find_unused=True) or results
            failure = failure_of(results.outcomes)
        found = replace(found, engine=results.engine, stalled=stalled, failure=failure)
        if failure:
            return found
        values = [outcome.value for outcome in results.outcomes]
        outputs = joined_outputs([value["outputs"] for value in values], batch, job.weights)
        theirs = [gradient for name, gradient in whole.gradients.items() if name in values[0]["weighted"]]
        mean, plain = (
            difference([values[0][kind][n] for n in whole.gradients if n in values[0][kind]], theirs)
            for kind in ("weighted", "plain")
        )
        return replace(found, outputs=difference(outputs, whole.outputs), gradients=mean, mean_of_means=plain)

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

    def result(
        self,
        outputs: Sequence[torch.Tensor],
        cotangents: Sequence[torch.Tensor],
        batch: Sequence[int | None],
        start: int,
        size: int,
    ) -> Result:
        """One run's outputs and its gradients of <c, y>, which is a mean where the output has a batch."""
        parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        total = mean_product(outputs, cotangents, batch, start, size)
        if total is None or not parameters:
            return Result([output.detach() for output in outputs], {})
        found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True, retain_graph=True)
        gradients = dict(zip(parameters, found, strict=True))
        return Result(
            [output.detach() for output in outputs],
            {name: gradient for name, gradient in gradients.items() if gradient is not None},
            tuple(name for name, gradient in gradients.items() if gradient is None),
        )

    def figures(self, whole: Result, shards: Sequence[Result], batch: Sequence[int | None]) -> Comparison:
        """The differences between the joined shards and the whole."""
        weights = [size / self.samples for size in self.sizes]
        equal_weights = [1 / len(shards)] * len(shards)
        outputs = joined_outputs([shard.outputs for shard in shards], batch, weights)
        has_gradients = bool(whole.gradients)
        return Comparison(
            samples=self.samples,
            dtype=self.precision,
            outputs=difference(outputs, whole.outputs),
            gradients=gradient_difference(shards, weights, whole) if has_gradients else None,
            mean_of_means=gradient_difference(shards, equal_weights, whole) if has_gradients else None,
            unused=whole.unused,
            losses=tuple(float(s.outputs[0]) for s in shards if len(s.outputs) == 1 and not s.outputs[0].dim()),
            engine="replicas on the CPU",
        )

    def synced(self, whole: Result, cotangents: Any, batch: Any, given: Any) -> float | None:
        """The larger difference that is left when every batch normalization takes its statistics over all devices."""
        layers = [m for m in self.model.modules() if isinstance(m, _BatchNorm) and m.training]
        if not layers or len(self.sizes) == 1:
            return None
        try:
            outputs = self.forward(self.cut(given), meeting_at=_BatchNorm)
        except Exception:
            return None
        terms = [
            self.result(each, cotangents, batch, start, size)
            for each, start, size in zip(outputs, self.starts, self.sizes, strict=True)
        ]
        return self.figures(whole, terms, batch).largest

    def failed(self, error: BaseException) -> Comparison:
        """What to say where a shard raises though the whole batch does not."""
        text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        return Comparison(
            samples=self.samples,
            dtype=self.precision,
            outputs=float("inf"),
            gradients=None,
            mean_of_means=None,
            engine="replicas on the CPU",
            failure=f"forward on a share of {self.sizes[-1]} of {self.samples} samples raised {text}",
        )


def mean_product(
    outputs: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor],
    batch: Sequence[int | None],
    start: int,
    size: int,
) -> torch.Tensor | None:
    """<c, y>, a mean over samples where the output has a batch; None if no output has a gradient."""
    terms = []
    for output, cotangent, axis in zip(outputs, cotangents, batch, strict=True):
        if output.requires_grad:
            part = cotangent if axis is None else cotangent.narrow(axis, start, size)
            if part.shape == output.shape:
                terms.append((part * output).sum() / (1 if axis is None else size))
    return torch.stack(terms).sum() if terms else None


def failure_of(outcomes: Sequence[Outcome]) -> str:
    """What became of the ranks, if one failed: of several, one that did not only miss another."""
    failed = [(rank, each.failure) for rank, each in enumerate(outcomes) if each.failure]
    if not failed:
        return ""
    rank, text = min(failed, key=lambda each: sum(sign in each[1] for sign in _MISSED_ANOTHER))
    return f"rank {rank} of {len(outcomes)} {text}"


def batch_axis(whole: torch.Tensor, parts: Sequence[torch.Tensor]) -> int | None:
    """The dimension in which the parts lie side by side in the whole; None if there is none."""
    for axis, size in enumerate(whole.shape):
        rest = {(*t.shape[:axis], *t.shape[axis + 1 :]) for t in (whole, *parts) if t.dim() == whole.dim()}
        if len(rest) == 1 and all(t.dim() == whole.dim() for t in parts) and sum(t.shape[axis] for t in parts) == size:
            return axis
    return None


def joined_outputs(
    shards: Sequence[Sequence[torch.Tensor]], batch: Sequence[int | None], weights: Sequence[float]
) -> list[torch.Tensor]:
    """The shards' outputs as one batch's; what has no batch, as a loss, is averaged by samples."""
    joined = []
    for parts, axis in zip(zip(*shards, strict=True), batch, strict=True):
        if axis is not None:
            joined.append(torch.cat(list(parts), dim=axis))
        elif len({part.shape for part in parts}) == 1:
            joined.append(sum_of(parts, weights))
        else:
            joined.append(parts[0])
    return joined


def sum_of(tensors: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """The weighted sum."""
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total


def gradient_difference(shards: Sequence[Result], weights: Sequence[float], whole: Result) -> float:
    """The relative difference of the shards' weighted gradients from the whole batch's, over all parameters."""
    mine, theirs = [], []
    for name, gradient in whole.gradients.items():
        parts = [(shard.gradients[name], w) for shard, w in zip(shards, weights, strict=True) if name in shard.gradients]
        mine.append(sum_of(*zip(*parts, strict=True)) if parts else torch.zeros_like(gradient))
        theirs.append(gradient)
    return difference(mine, theirs)


def difference(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> float:
    """||ours - theirs|| / ||theirs|| over all tensors; infinite where shapes differ or values are not finite in one alone."""
    numerator, denominator = 0.0, 0.0
    for one, other in zip(ours, theirs, strict=True):
        one, other = one.detach(), other.detach()
        if one.shape != other.shape:
            return float("inf")
        off, size = float(torch.dist(one, other)), float(torch.linalg.vector_norm(other))
        if not (math.isfinite(off) and math.isfinite(size)):  # rare, and several times slower
            finite = other.isfinite()
            if not torch.equal(one.isfinite(), finite):
                return float("inf")
            off, size = float(torch.dist(one[finite], other[finite])), float(torch.linalg.vector_norm(other[finite]))
        numerator, denominator = numerator + off**2, denominator + size**2
    return float((numerator / denominator) ** 0.5) if denominator else float(numerator > 0)


class Meeting:
    """Threads that run the same forward on different shards, and meet at every synchronized layer."""

    def __init__(self, devices: int) -> None:
        self.devices = devices
        self.barrier = threading.Barrier(devices, timeout=MEETING_SECONDS)
        self.local = threading.local()
        self.given: list[Any] = [None] * devices
        self.results: list[Any] = [None] * devices

    @contextmanager
    def at(self, layers: Sequence[nn.Module]) -> Iterator[Meeting]:
        """Within this context the layers see the inputs of all devices together."""
        for layer in layers:
            layer.forward = self._together(layer.forward)
        try:
            yield self
        finally:
            for layer in layers:
                del layer.forward

    def _together(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def synchronized(x: torch.Tensor) -> torch.Tensor:
            device: int = self.local.device
            self.given[device] = x
            self.barrier.wait()
            if device == 0:
                parts = forward(torch.cat(self.given)).split([len(each) for each in self.given])
                self.results = [part.clone() for part in parts]  # what is behind may write to them
            self.barrier.wait()
            result: torch.Tensor = self.results[device]
            self.barrier.wait()
            return result

        return synchronized

    def each(self, run: Callable[[int], Any]) -> list[Any]:
        """What `run` gives for each device, all at once.

        Raises:
            Exception: what the first device that failed raised.
        """
        outcomes: list[Any] = [None] * self.devices
        failures: list[BaseException] = []

        def work(device: int) -> None:
            self.local.device = device
            try:
                outcomes[device] = run(device)
            except threading.BrokenBarrierError:
                pass  # another device failed
            except BaseException as error:
                failures.append(error)
                self.barrier.abort()

        threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in range(self.devices)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if self.barrier.broken:
            raise RuntimeError("the devices did not meet at the same synchronized layers")
        return outcomes
