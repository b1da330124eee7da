"""How to measure: on which device, in which precision, with how many samples and passes.

    plans(graph, example, device) -> the plans to try, best first

Precision first, then speed: float64 where the model is small enough, else float32. On the CPU the work is capped, since a
linter must not take minutes: fewer samples, then fewer passes, and a remark that says so.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from netcheck.errors import ProbeError
from netcheck.figures.gradients import ENOUGH_FOR_RANK, ENOUGH_FOR_RISK
from netcheck.measure.inputs import Example
from netcheck.measure.precision import own_precisions
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

PASSES = 3
SAMPLES = 32  # in a batch: what the thresholds for effective rank were measured with
FEWEST_SAMPLES = 2
CPU_WORK = 3e10  # operations (a multiply-add is two) that a probe may take on a CPU: a few seconds of one core
CPU_LIMIT = 4e11  # beyond this a single pass of two samples is not worth waiting for
DOUBLE_WORK = 6e9  # a probe with less than this on a CPU is run in float64
MEMORY_SHARE = 0.5  # of what is free
OWN_TYPES = "every tensor in the precision that it has"
STEADY = "forward's own draws were the same in each pass, since they decide which way it takes"
PLAIN = "on the inputs as they are, without a gradient at them: measured from what the first parameters give"


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to run the probe.

    Attributes:
        dtype: of all floating tensors; with `own_types`, of most of them.
        samples: in a batch; None to leave the example's shapes alone.
        affordable: whether nothing had to be cut down to bear the work on a CPU.
        remarks: what is otherwise than asked, a sentence each.
        own_types: whether every tensor keeps the type that it has.
        steady: whether what forward draws is the same in each pass, and as it was traced: it decides which way forward goes.
        plain: whether inputs are given as they are, and no gradient is asked of them: as in training.
    """

    device: torch.device
    dtype: torch.dtype
    samples: int | None
    passes: int
    remarks: tuple[str, ...] = ()
    affordable: bool = True
    own_types: bool = False
    plain: bool = False
    steady: bool = False

    def steadied(self) -> Plan | None:
        """The same with all that forward draws as it was traced; None if it is."""
        return None if self.steady else replace(self, steady=True, remarks=(*self.remarks, STEADY))

    def halved(self) -> Plan | None:
        """The same with half the samples; None if two would be too many."""
        if self.samples is None or self.samples <= FEWEST_SAMPLES:
            return None
        samples = max(FEWEST_SAMPLES, self.samples // 2)
        return replace(
            self,
            samples=samples,
            remarks=(*self.remarks, f"out of memory with {self.samples} samples: {samples} used"),
        )


def plans(graph: ModelGraph, example: Example, device: str, passes: int = PASSES, dtype: str = "auto") -> Iterator[Plan]:
    """The ways to try, best first: each is tried if the one before raised.

    `passes` are wanted; a CPU may be given fewer. A `dtype` that is not "auto" is the only one tried.

    Raises:
        ProbeError: there is no such device; the model has no values, or is too large for the device.
    """
    if any(member.is_meta for member in (*graph.model.parameters(), *graph.model.buffers())):
        raise ProbeError(
            "the parameters are on the meta device: they have no values",
            help="check the model on a real device",
        )
    chosen = find_device(device)
    samples = example.samples if example.samples is None else max(SAMPLES, min(example.samples, 2 * SAMPLES))
    work = 3 * passes * work_per_sample(graph, example)
    remarks: tuple[str, ...] = ()
    if chosen.type == "cpu" and work * (samples or 1) > CPU_WORK:
        samples, passes, remarks = capped(work / passes, samples, passes)
    asked = [] if dtype == "auto" else [getattr(torch, dtype)]
    own = own_precisions(graph.model)
    mixed = len(own) > 1 and not asked  # forward casts from one type to the other: it would not run in a third
    double = chosen.type != "mps" and (chosen.type != "cpu" or work * (samples or 1) <= DOUBLE_WORK)
    dtypes = asked or (own[:1] if mixed else [torch.float64, torch.float32] if double else [torch.float32])
    fitting = [dtype for dtype in dtypes if fits(graph, chosen, dtype)]
    if not fitting:
        raise ProbeError(
            f"{type(graph.model).__name__} does not fit into the memory of {chosen}",
            help="check a small configuration of the same architecture",
        )
    types = (OWN_TYPES,) if mixed else ()
    first = Plan(chosen, fitting[0], samples, passes, (*remarks, *types), not remarks, mixed)
    yield from ways(first, fitting, [] if asked else own, reshaped=samples != example.samples)
    if chosen.type != "cpu":
        slower = f"it does not run on {chosen}: measured on cpu"
        with suppress(ProbeError):  # where that would take too long, why it did not run on the device is what counts
            cpu, samples = torch.device("cpu"), example.samples
            if work * (samples or 1) > CPU_WORK:
                samples, passes, remarks = capped(work / passes, samples, passes)
            first = Plan(cpu, dtypes[-1], samples, passes, (*remarks, *types, slower), not remarks, mixed)
            yield from ways(first, dtypes[-1:], [] if asked else own, reshaped=False)


def ways(first: Plan, precisions: Sequence[torch.dtype], own: Sequence[torch.dtype], *, reshaped: bool) -> Iterator[Plan]:
    """Those on one device: in each precision, with the example's own shapes, in the model's own types, and as in training."""
    for precision in precisions:
        yield replace(first, dtype=precision)
    if reshaped:  # forward may know its batch size
        yield replace(first, dtype=precisions[-1], samples=None)
    if own and not first.own_types:
        first = replace(first, dtype=own[0], own_types=True, remarks=(*first.remarks, OWN_TYPES))
        yield first
    yield replace(first, plain=True, remarks=(*first.remarks, PLAIN))


def find_device(name: str) -> torch.device:
    """The device of that name; of "auto" the best there is.

    Raises:
        ProbeError: it does not exist here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except Exception as error:  # torch raises what it likes: RuntimeError, AssertionError, NotImplementedError
        raise ProbeError(f"there is no device {name!r} here", help="choose --device auto, or cpu") from error
    return device


def capped(work: float, samples: int | None, passes: int) -> tuple[int | None, int, tuple[str, ...]]:
    """Fewer samples, then fewer passes, until the work is bearable on a CPU.

    Args:
        work: operations a pass and sample.
        samples: wanted in a batch.
        passes: wanted.

    Raises:
        ProbeError: even the least is too much.
    """
    if samples is None:
        passes = max(1, min(passes, int(CPU_WORK / work)))
        if work * passes > CPU_LIMIT:
            raise too_much(work)
        return None, passes, (f"{passes} passes, since more would take long on a CPU",)
    if work * FEWEST_SAMPLES > CPU_LIMIT:
        raise too_much(work * FEWEST_SAMPLES)
    passes = max(1, min(passes, int(CPU_WORK / (work * ENOUGH_FOR_RANK))))
    samples = max(FEWEST_SAMPLES, min(samples, int(CPU_WORK / (work * passes))))
    if passes == 1 and ENOUGH_FOR_RANK < samples < ENOUGH_FOR_RISK:  # between the two, more samples tell nothing more
        samples = ENOUGH_FOR_RANK
    word = "pass" if passes == 1 else "passes"
    return samples, passes, (f"{passes} {word} of {samples} samples, since more would take long on a CPU",)


def too_much(work: float) -> ProbeError:
    """For a model that a CPU would take minutes for."""
    return ProbeError(
        f"one pass takes {work / 1e12:.1f} TFLOP, too much for a CPU",
        help="probe it with --device cuda on a machine that has one, or check a small configuration of the same architecture",
    )


def work_per_sample(graph: ModelGraph, example: Example) -> float:
    """Operations of a forward pass for one sample, weight layers and products alone (a multiply-add is two)."""
    return 2 * sum(multiply_adds(node) for node in graph) / (example.samples or 1)


def multiply_adds(node: Node) -> float:
    """Of one operation on the example."""
    if not node.shape or not node.depends:
        return 0.0
    size = math.prod(node.shape)
    if not size:
        return 0.0
    if is_weight_layer(node):
        weights = list(node.module.parameters()) if node.module is not None else parameter_inputs(node)
        matrices = [weight for weight in weights if weight.dim() > 1]
        if node.kind is Kind.CONV and matrices:
            transposed = node.detail == "transpose"
            return size * matrices[0].numel() / max(1, matrices[0].shape[1 if transposed else 0])
        positions = size / node.shape[-1]
        return positions * sum(matrix.numel() for matrix in matrices)
    if node.kind is Kind.MATMUL and node.inputs and node.inputs[0].shape:
        return float(size * node.inputs[0].shape[-1])
    if node.kind is Kind.ATTENTION and len(node.shape) > 1:
        return 2.0 * size * node.shape[-2]
    return 0.0


def parameter_inputs(node: Node) -> list[torch.Tensor]:
    """The parameters that a function is given directly."""
    attributes = node.graph.recording.attributes
    return [attributes[name] for source in node.inputs if (name := str(source.fx.target)) in node.graph.recording.names]


def fits(graph: ModelGraph, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the parameters and their gradients fit into half of what is free."""
    size = torch.finfo(dtype).bits // 8
    parameters = sum(p.numel() for p in (*graph.model.parameters(), *graph.model.buffers()))
    free = free_memory(device)
    return free is None or 2 * parameters * size <= MEMORY_SHARE * free


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or its cause, says that the device's memory is used up."""
    cause = error.__cause__ or error
    return isinstance(cause, torch.OutOfMemoryError | MemoryError) or (
        isinstance(cause, RuntimeError) and ("out of memory" in str(cause) or "can't allocate memory" in str(cause))
    )


def release_memory(device: torch.device) -> None:
    """Have what a failed attempt has left behind go: frames and errors that hold each other, and memory that torch keeps."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, or that torch holds there without using them; None if that cannot be told."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
