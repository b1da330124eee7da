"""Whether samples keep to themselves, by one look: three samples at once against two of them alone.

    f(a, b, c)[2, 0]   against   f(c, a)          in eval mode, and in training with batch normalization as in eval

One comparison asks for three things: that forward runs at a second batch size, that a sample's result does not depend on the
others, nor on its place among them. Only where it fails is forward looked into, operation by operation (`find_mixing`), or for a
number that stands for the batch (`find_hard_coded`).

Batch normalization mixes samples in training by design, and so does whatever leaves statistics of the batch in the model.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.errors import TraceError
from netcheck.figures.batches import Batches
from netcheck.load.held import changing_only_itself
from netcheck.load.modes import set_training
from netcheck.load.randomness import seeded
from netcheck.load.untouched import default_dtype
from netcheck.measure.axes import BatchAxes
from netcheck.measure.calls import both, is_written, state_of
from netcheck.measure.chance import Chanceless, chanceless_copy
from netcheck.measure.mixing import UnjudgedError, close, find_mixing
from netcheck.measure.plan import CPU_WORK, DOUBLE_WORK
from netcheck.measure.size import MOST_BYTES, Size
from netcheck.measure.split import in_graph, on_paper, operation
from netcheck.torch_versions import BatchNormalization, forward_of
from netcheck.trace import structure
from netcheck.trace.attempts import can_run_for_real
from netcheck.trace.kinds import Kind, is_weight_layer

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph
    from netcheck.trace.node import Node, Nodes

WHOLE = 3  # samples
PARTS = ((2, 0), (1, 2))  # of them, alone and at other places; the second where forward asks for an order (of lengths)
ALONE = (1,)
RUNS = 2 * (WHOLE + len(PARTS[0])) + len(ALONE)  # samples forward: in both modes
MOST_WAYS = 4  # in which the dimensions of several inputs may hold the batch


@dataclass(frozen=True)
class Look:
    """What one look at a model in one mode came to.

    Attributes:
        alike: whether the samples gave the same alone.
        fault: what forward raised on fewer samples; "" if nothing.
        single: what becomes of one sample alone, if that has another shape or raises; "" if nothing does.
    """

    alike: bool
    fault: str = ""
    single: str = ""


@dataclass(frozen=True)
class Seen:
    """What a second batch size tells of a model.

    Attributes:
        batches: what is wrong; None if nothing is, or nothing can be told.
        pure: whether calls in eval mode were seen to leave weights, buffers and arguments alone, and to give the same each time.
    """

    batches: Batches | None = None
    pure: bool = False


def look(graph: ModelGraph, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Seen:
    """What a second batch size tells of a model.

    Args:
        graph: the traced model.
        args: positional arguments of forward that it was traced with.
        kwargs: its keyword arguments.
    """
    axes = BatchAxes(graph.model, args, kwargs)
    if not axes.batch or not can_run_for_real(graph.model):
        return Seen()
    size = Size.of(graph, axes.batch)
    if RUNS * size.flops > CPU_WORK or WHOLE * size.activations > MOST_BYTES:
        return Seen()
    exact = torch.float64 if 2 * RUNS * size.flops <= DOUBLE_WORK else torch.float32
    try:
        with default_dtype(torch.float32), seeded(0):
            twin = chanceless_copy(graph.model, torch.float32)
    except Exception:  # copying is the model's own code
        return Seen()
    with changing_only_itself(twin):
        looker = _Looker(graph, axes, twin, exact)
        return Seen(looker.found(), looker.pure)


class _Looker:
    """A copy of a model without chance, in single precision, and the arguments that it is run on.

    What differs for rounding alone is told from what mixes samples by a second look, in the precision `exact`.

    Attributes:
        pure: whether a comparison in eval mode held, and no run of it wrote to arguments, weights or buffers.
    """

    def __init__(self, graph: ModelGraph, axes: BatchAxes, twin: nn.Module, exact: torch.dtype) -> None:
        self.graph, self.axes, self.twin, self.exact = graph, axes, twin, exact
        self.pure, self.writes = False, False
        self.marks = state_of(twin)
        self.state = [
            (module, name, buffer.clone())
            for module in twin.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]

    def found(self) -> Batches | None:
        """What is wrong, in eval mode if it is wrong there."""
        for training in (False, True) if asks_for_mode(self.twin) else (False,):
            seen = self.in_mode(training=training)
            if seen is None:
                return None
            if seen.fault:
                return self.hard_coded()
            if not seen.alike:
                return self.hard_coded() or self.mixed(training=training)
            if seen.single and not training:
                size = self.axes.batch
                fixed = next((node for node in self.graph if drops_ones(node)), None)
                return Batches(
                    size, 1, size, single_fault=seen.single, fixed=None if fixed is None else operation(fixed, self.graph)
                )
        return None

    def in_mode(self, *, training: bool) -> Look | None:
        """The comparison in one mode; None if forward does not run on arguments that are drawn anew."""
        set_training(self.twin, training)
        for module in self.twin.modules():
            if isinstance(module, BatchNormalization):
                module.eval()
        for rows, axes in self.ways():
            self.axes.axes = axes
            given = self.axes.drawn(WHOLE, rows=rows, dtype=torch.float32)
            try:
                whole = self.run(given)
            except Exception:  # these numbers, or dimensions, may not be what forward takes
                continue
            seen = self.on_parts(given, whole)
            self.pure = self.pure or (seen.alike and not training and not self.writes and state_of(self.twin) == self.marks)
            if seen.alike or seen.fault or all(map(close, whole, self.run(given, seed=1))):
                return seen
            return None  # it draws numbers of its own
        return Look(alike=False, fault=f"forward does not run on {WHOLE} samples")

    def on_parts(self, given: Any, whole: Sequence[torch.Tensor]) -> Look:
        """The comparison with samples that are alone."""
        fault = ""
        for samples in PARTS:
            try:
                part = self.run(self.axes.picked(given, samples))
            except Exception as error:
                fault = f"{type(error).__name__}: {error}"
            else:
                same = alike(whole, part, samples)
                return Look(same, single=self.alone(given, part) if same else "")
        return Look(alike=False, fault=fault)

    def alone(self, given: Any, several: Sequence[torch.Tensor]) -> str:
        """How one sample's outputs are shaped otherwise than several samples'; "" if they are not."""
        if self.twin.training or not any(node.function.startswith("squeeze") for node in self.graph):
            return ""  # in training the statistics of one value may be asked for; nothing else takes dimensions of one away
        try:
            one = self.run(self.axes.picked(given, ALONE))
        except Exception as error:
            return f"forward raises {type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        pairs = zip(one, several, strict=False)
        lost = next(((a, b) for a, b in pairs if a.dim() != b.dim()), None)
        return (
            ""
            if lost is None
            else f"an output of {tuple(lost[1].shape)} for {len(PARTS[0])} samples is {tuple(lost[0].shape)} for one"
        )

    def ways(self) -> Iterator[tuple[bool, dict[int, int | None]]]:
        """How to draw arguments: which dimensions hold the batch, and whether samples are taken whole."""
        for axes in self.assignments:
            yield False, axes
            yield True, axes

    @cached_property
    def assignments(self) -> list[dict[int, int | None]]:
        """Which dimensions may hold the batch, the likeliest first; of one tensor alone, the first does."""
        if len(self.axes.tensors) == 1:
            return [self.axes.axes]
        return list(islice(self.axes.assignments(), MOST_WAYS))

    def run(self, given: Any, *, seed: int = 0) -> list[torch.Tensor]:
        """The tensors of the output, from the state before any run."""
        for module, name, before in self.state:
            module._buffers[name] = before.clone()
        args, kwargs = structure.rebuild(given, torch.clone)
        with torch.no_grad(), default_dtype(torch.float32), seeded(seed), Chanceless():
            results = [tensor for _, tensor in structure.tensors(self.twin(*args, **kwargs))]
        self.writes = self.writes or any(is_written(one, clone) for _, one, clone in both(self.twin, given, (args, kwargs)))
        return results

    def hard_coded(self) -> Batches | None:
        """Where a batch size is written into forward; None if it is not, or not in a way that shapes show."""
        axes = BatchAxes(self.graph.model, *self.axes.example)
        found = on_paper(self.graph, axes, 1, axes.batch)
        return found if found.size_fault or found.fixed is not None else None

    def mixed(self, *, training: bool) -> Batches | None:
        """The operations that mix samples; None if none does by itself, or only what is meant to."""
        axes = BatchAxes(self.twin, *self.axes.example)
        axes.axes = self.axes.axes
        try:
            nodes = find_mixing(axes, dtype=self.exact)
            twins = {node.name: node for node in axes.graph_at(WHOLE)} if nodes else {}
        except (UnjudgedError, TraceError):
            return None
        if training and nodes and not behind_state(nodes[0].graph).isdisjoint(nodes):
            return None
        nodes = [node for node in nodes if node.live and not is_pairwise(node, twins.get(node.name))]
        if not nodes:
            return None
        return Batches(
            self.axes.batch,
            1,
            self.axes.batch,
            mixing=tuple(in_graph(node, self.graph) for node in nodes),
            training_only=training,
        )


def asks_for_mode(model: nn.Module) -> bool:
    """Whether code other than torch's own may do something else in training than in eval mode."""
    own = {type(module) for module in model.modules() if not is_torchs(type(module))}
    files = {file for cls in own for file in (source_file(cls), source_file(forward_of(cls)))}
    return any(file is None or ".training" in "".join(linecache.getlines(file)) for file in files)


def source_file(written: Any) -> str | None:
    """Where a class or function is written; None if nobody knows."""
    try:
        return inspect.getsourcefile(written)
    except TypeError:  # made at run time
        return None


def is_torchs(cls: type) -> bool:
    """Whether a module's class is one of torch's."""
    return cls.__module__.startswith("torch.nn.")


def alike(whole: Sequence[torch.Tensor], part: Sequence[torch.Tensor], samples: Sequence[int]) -> bool:
    """Whether outputs of some samples alone are those that they gave among all."""
    return len(whole) == len(part) and all(is_part(one, other, samples) for one, other in zip(whole, part, strict=True))


def is_part(whole: torch.Tensor, part: torch.Tensor, samples: Sequence[int]) -> bool:
    """Whether a tensor is what some samples contribute to another; of what sums samples up, nothing can be told."""
    if whole.dim() != part.dim():
        return False
    changed = [dim for dim, (a, b) in enumerate(zip(whole.shape, part.shape, strict=True)) if a != b]
    picks = [whole]
    for dim in changed:  # two, of pairs of samples
        picks = [pick for each in picks for pick in picked(each, dim, part.shape[dim], samples)]
    return not changed or any(close(each, part) for each in picks)


def picked(tensor: torch.Tensor, dim: int, size: int, samples: Sequence[int]) -> Iterator[torch.Tensor]:
    """What may belong to some samples in a dimension of (outer, samples, inner)."""
    times, beside = divmod(tensor.shape[dim], WHOLE)
    if beside or size != times * len(samples):
        return
    for outer in (each for each in range(1, times + 1) if times % each == 0):
        blocks = tensor.unflatten(dim, (outer, WHOLE, times // outer))
        yield blocks.index_select(dim + 1, torch.tensor(samples)).flatten(dim, dim + 2)


def drops_ones(node: Node) -> bool:
    """Whether an operation takes away every dimension of one entry, whichever they are."""
    return node.function == "squeeze" and node.depends and node.argument(1, "dim") is None


def is_pairwise(node: Node, twin: Node | None) -> bool:
    """Whether an operation gives a number for each pair of samples which no sample takes up again: the method is to compare.

    `twin` is the same operation at another batch size.
    """
    shapes = zip(node.shape or (), (twin.shape if twin is not None else None) or (), strict=False)
    if sum(a != b for a, b in shapes) < 2:
        return False
    pending, met = list(node.users), set(node.users)
    while pending:
        each = pending.pop()
        if each.kind is Kind.MATMUL or is_weight_layer(each):
            return False
        pending += [user for user in each.users if user not in met]
        met.update(each.users)
    return True


def behind_state(graph: Nodes) -> set[Node]:
    """What the values that forward leaves behind in the model are made of: statistics that eval mode uses in their place."""
    pending = list(graph.kept)
    found = set(pending)
    while pending:
        new = [source for source in pending.pop().inputs if source not in found]
        pending += new
        found.update(new)
    return found
