"""Which operations mix samples: through which one sample of a batch changes what another becomes.

Forward is run for real on 6 samples, operation by operation. Each operation is also run on its own inputs of samples 0-2, and
of 3-5, with the settings that forward gives it at a batch of 3. If the two results, joined, are what the six gave, it
treats samples independently, wherever the batch is by then:

    view(6, 5, 8 -> 30, 8)     rows 0-14 and 15-29         a batch folded into time, and back: independent
    transpose(0, 1)            (5, 6, 8): the middle       independent
    x.mean(0)                  three means, none alike     mixes
    x / 6 and x / 3            written with x.size(0)      mixes: the result depends on the batch size
    BatchNorm in training      two statistics              mixes

Every operation is judged by itself, on inputs cut from the whole batch's: what stands behind a mixing operation is not blamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from netcheck.errors import TraceError
from netcheck.load.randomness import seeded
from netcheck.load.untouched import default_dtype
from netcheck.measure.axes import BatchAxes
from netcheck.measure.chance import Chanceless, chanceless_copy
from netcheck.measure.replay import SETTINGS, callee, described, evaluated
from netcheck.trace import structure
from netcheck.trace.attempts import argument_names
from netcheck.trace.calls import after
from netcheck.trace.kinds import Kind
from netcheck.trace.run import trace

if TYPE_CHECKING:
    from netcheck.trace.graph import ModelGraph, Node

WHOLE, PART = 6, 3  # samples: parts of an odd size, so that x[::2] is seen to depend on positions
_TOLERANCE = {torch.float64: 1e-9, torch.complex128: 1e-9}
COSTLY = frozenset((
    Kind.LINEAR, Kind.CONV, Kind.RECURRENT, Kind.ATTENTION, Kind.MATMUL, Kind.NORM, Kind.ACTIVATION, Kind.SOFTMAX, Kind.POOL,
    Kind.ADD, Kind.GATE, Kind.SCALE, Kind.SHIFT, Kind.POINTWISE, Kind.DROPOUT, Kind.RESHAPE,
))  # fmt: skip
BY_ROWS = {nn.Linear: 1, nn.Conv1d: 2, nn.Conv2d: 3, nn.Conv3d: 4}  # and how many of their last dimensions are one row
_ROUGH = 1e-4  # for what is computed in less than double precision


class UnjudgedError(Exception):
    """Why the operations of a model could not be judged one by one."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a tensor of the whole batch is cut in two: dimension `dim` is (outer, batch, inner), and the batch is cut.

    With `outer` 1 the first `sizes[0]` positions of the dimension are the first part's.
    """

    dim: int
    sizes: tuple[int, int]
    outer: int = 1

    def part(self, tensor: torch.Tensor, which: int) -> torch.Tensor:
        """A view of one part."""
        start = self.sizes[0] if which else 0
        if self.outer == 1:
            return tensor.narrow(self.dim, start, self.sizes[which])
        blocks = tensor.unflatten(self.dim, (self.outer, -1))
        each = [size // self.outer for size in self.sizes]
        part: torch.Tensor = blocks.narrow(self.dim + 1, each[0] if which else 0, each[which])
        return part.flatten(self.dim, self.dim + 1)


@dataclass(frozen=True, slots=True)
class Own:
    """A tensor that forward makes from the batch's size alone: each part has its own."""

    parts: tuple[torch.Tensor, torch.Tensor]

    def part(self, tensor: torch.Tensor, which: int) -> torch.Tensor:
        return self.parts[which]


class Same:
    """A tensor without a batch: every part has all of it."""

    def part(self, tensor: torch.Tensor, which: int) -> torch.Tensor:
        return tensor


Layout = Cut | Own | Same
SAME = Same()


def find_mixing(axes: BatchAxes, *, dtype: torch.dtype = torch.float64, once: bool = False) -> list[Node]:
    """The operations of `axes.model` that mix samples, in the order of forward: nodes of a graph of a copy of it.

    With `once`, operations that are alike, on arguments of the same shapes, are run once, on two samples: the first one's word
    counts for all, and its numbers stand for theirs.

    Raises:
        UnjudgedError: forward does other things at another batch size, or cannot be run on a copy in this precision.
    """
    failure: Exception = UnjudgedError("forward does not run")
    for rows, part in [(rows, part) for part in ((1, PART) if once else (PART,)) for rows in (False, True)]:
        try:
            return _Judge(axes, dtype, rows=rows, once=once, part=part).mixing()
        except UnjudgedError as error:
            failure = error
    if dtype is torch.float64:
        try:
            return find_mixing(axes, dtype=torch.float32, once=once)
        except UnjudgedError:
            pass
    raise failure


class _Judge:
    """One run of the whole batch and of its two parts, operation by operation."""

    def __init__(self, axes: BatchAxes, dtype: torch.dtype, *, rows: bool, once: bool, part: int) -> None:
        try:
            with default_dtype(dtype), seeded(0):
                self.model = chanceless_copy(axes.model, dtype, reading=once)
                self.given = axes.drawn(2 * part, rows=rows, dtype=dtype)
                small = axes.drawn(part, rows=rows, dtype=dtype)
                with Chanceless():
                    self.whole = trace(self.model, *self.given)
                    self.part = trace(self.model, *small, seed=1)  # so that only what is no draw is alike in both
        except TraceError as error:
            raise UnjudgedError(str(error)) from error
        except Exception as error:  # copying is the model's own code
            raise UnjudgedError(f"the model cannot be copied: {type(error).__name__}: {error}") from error
        self.dtype = dtype
        self.axes = axes
        self.values: dict[Node, Any] = {}
        self.layouts: dict[Node, list[Layout] | None] = {}  # of the tensors in a value; None: lost
        self.samples = part
        self.known: dict[Any, tuple[Any, list[Layout] | None, bool]] | None = {} if once else None

    def mixing(self) -> list[Node]:
        """The operations that mix samples.

        Raises:
            UnjudgedError: the two graphs differ, or an operation raises on the whole batch.
        """
        pairs = paired(self.whole, self.part)
        last_use = {source: node for node, _ in pairs for source in node.inputs}
        blamed: list[Node] = []
        with torch.no_grad(), default_dtype(self.dtype), seeded(0), Chanceless():
            self._take_arguments()
            for node, twin in pairs:
                if node.op == "output":
                    break
                if node.op == "get_attr":
                    self._take_constant(node, twin)
                elif node.op != "placeholder" and not self._run(node, twin):
                    blamed.append(node)
                for source in node.inputs:
                    if last_use[source] is node:
                        self.values.pop(source, None)
        return [node for node in blamed if node.depends and not self._is_summary(node)]

    def _take_arguments(self) -> None:
        named = dict(argument_names(self.model, *self.given))
        axes = {each.name: each.axis for each in self.axes.inputs(2 * self.samples)}
        layouts: list[Layout] = [SAME if axis is None else Cut(axis, (self.samples, self.samples)) for axis in axes.values()]
        for node in self.whole.inputs:
            self.values[node] = value = named.get(str(node.fx.target))
            count = sum(1 for _ in structure.tensors(value))
            self.layouts[node], layouts = layouts[:count], layouts[count:]

    def _take_constant(self, node: Node, twin: Node) -> None:
        """A parameter, buffer or constant; one that forward made outside of torch may have a batch."""
        value, small = (
            graph.recording.attributes[str(each.fx.target)] for graph, each in ((self.whole, node), (self.part, twin))
        )
        self.values[node] = structure.rebuild(value, lambda tensor: tensor.detach().clone())
        leaves, twins = ([tensor for _, tensor in structure.tensors(each)] for each in (value, small))
        self.layouts[node] = [constant_layout(a, b, b, self.samples) for a, b in zip(leaves, twins, strict=False)]

    def _run(self, node: Node, twin: Node) -> bool:
        """Run an operation, or one like it, on the whole batch and on the parts; False if it mixes samples."""
        if self.known is None or node.kind not in COSTLY:
            return self._judge(node, twin)
        key = self._key(node, twin)
        if key not in self.known:
            independent = self._judge(node, twin)
            self.known[key] = self.values[node], self.layouts[node], independent
            return independent
        self.values[node], self.layouts[node], independent = self.known[key]
        return independent

    def _key(self, node: Node, twin: Node) -> Any:
        """What operations that are alike have in common, on the whole batch and on a part: `x / 6` is not `x / x.size(0)`."""
        values = {source.fx: self.values[source] for source in node.inputs}
        parts = dict.fromkeys(source.fx for source in twin.inputs)
        given = described(tuple(evaluated(each, values) for each in (node.fx.args, node.fx.kwargs)), {})
        of_part = described(tuple(evaluated(each, parts) for each in (twin.fx.args, twin.fx.kwargs)), {})
        layouts = tuple(tuple(self.layouts[source] or ("lost",)) for source in node.inputs)
        return (node.op, node.fx.target) if node.module is None else alike(node.module), given, of_part, layouts

    def _judge(self, node: Node, twin: Node) -> bool:
        """Run an operation on the whole batch and on the parts; False if it mixes samples."""
        known = all(self.layouts[source] is not None for source in node.inputs)
        kept = self._kept_by_weights(node) if known else None
        results = [self._on_part(node, twin, which) for which in (0, 1)] if known and kept is None else None
        values = {source.fx: self.values[source] for source in node.inputs}
        try:
            value = callee(node)(*evaluated(node.fx.args, values), **evaluated(node.fx.kwargs, values))
        except Exception as error:
            raise UnjudgedError(f"{node.target} raised {type(error).__name__}: {error}") from error
        self.values[node] = value
        if kept is not None:
            self.layouts[node] = [kept]
            return True
        if node.fx.target is after and known:  # its parts were cut before the mutation that it stands for
            self.layouts[node] = self.layouts[node.inputs[0]]
            return True
        if results is None:
            self.layouts[node] = self._recovered(node, twin)
            return True
        if any(isinstance(result, Exception) for result in results):
            self.layouts[node] = self._recovered(node, twin)
            return False
        independent, self.layouts[node] = joined(value, results, makes=not node.depends, samples=self.samples)
        if self.layouts[node] is None:
            self.layouts[node] = self._recovered(node, twin)
        return independent

    def _kept_by_weights(self, node: Node) -> Cut | None:
        """Where the batch is behind a layer that cannot mix it, as torch defines it, and that takes most of the time."""
        module, layouts = node.module, [layout for source in node.inputs for layout in self.layouts[source] or ()]
        if self.known is None or module is None or type(module) not in BY_ROWS:
            return None
        if module._forward_hooks or module._forward_pre_hooks:
            return None
        if len(layouts) != 1 or not isinstance(layouts[0], Cut) or node.fx.args != (node.inputs[0].fx,) or node.fx.kwargs:
            return None
        rank = self.values[node.inputs[0]].dim()
        return layouts[0] if layouts[0].dim < rank - BY_ROWS[type(module)] else None

    def _on_part(self, node: Node, twin: Node, which: int) -> Any:
        """What the operation gives for one part, with the settings of a batch of that size; or the exception."""
        values = {}
        for source, other in zip(node.inputs, twin.inputs, strict=True):
            values[other.fx] = cut_value(self.values[source], self.layouts[source] or (), which)
        try:
            return callee(twin)(*evaluated(twin.fx.args, values), **evaluated(twin.fx.kwargs, values))
        except Exception as error:
            return error

    def _recovered(self, node: Node, twin: Node) -> list[Layout] | None:
        """Where the batch is again in a value that came of mixed ones: where forward's own shapes change with it."""
        shapes = [tuple(tensor.shape) for _, tensor in structure.tensors(self.values[node])]
        if len(shapes) != 1 or node.shape != shapes[0] or twin.shape is None or len(twin.shape) != len(shapes[0]):
            return None
        changed = [d for d, (a, b) in enumerate(zip(shapes[0], twin.shape, strict=True)) if a != b]
        if not changed:
            return [SAME]
        dim = changed[0]
        if len(changed) > 1 or shapes[0][dim] != 2 * twin.shape[dim]:
            return None
        return [Cut(dim, (twin.shape[dim], twin.shape[dim]))]

    def _is_summary(self, node: Node) -> bool:
        """Whether it sums the batch up to one number which no sample meets again, as a loss does."""
        pending, met = [node], {node}
        while pending:
            each = pending.pop()
            if each.op != "output" and each.shape != ():
                return False
            pending += [user for user in each.users if user not in met]
            met.update(each.users)
        return True


def alike(module: nn.Module) -> Any:
    """What modules have in common that do the same with the same arguments: classes, settings, and shapes of what they hold."""
    parts = list(module.modules())
    if any(part._forward_hooks or part._forward_pre_hooks for part in parts):
        return id(module)
    settings = [(type(part), *((k, v) for k, v in vars(part).items() if isinstance(v, SETTINGS))) for part in parts]
    return tuple(settings), described([*module.parameters(), *module.buffers()], {})


def paired(whole: ModelGraph, part: ModelGraph) -> list[tuple[Node, Node]]:
    """The operations of two runs side by side.

    Raises:
        UnjudgedError: forward ran other operations on another batch.
    """
    pairs = list(zip(whole.nodes, part.nodes, strict=False))
    for one, other in pairs:
        alike = one.op == other.op and len(one.inputs) == len(other.inputs)
        if not alike or (one.op == "call_function" and one.fx.target is not other.fx.target):
            raise UnjudgedError(f"forward does other things at another batch size, from {one.target} on")
    if len(whole) != len(part):
        raise UnjudgedError("forward does more on a larger batch: it goes through it sample by sample")
    return pairs


def cut_value(value: Any, layouts: Sequence[Layout], which: int) -> Any:
    """One part of a value of the whole batch, in memory of its own."""
    order = iter(layouts)
    return structure.rebuild(value, lambda tensor: next(order).part(tensor, which).clone())


def joined(whole: Any, parts: Sequence[Any], *, makes: bool = False, samples: int = PART) -> tuple[bool, list[Layout] | None]:
    """Whether results of the parts make up that of the whole batch, and how its tensors are to be cut.

    `makes`: the value does not depend on the samples, so that each part may have one of its own.
    """
    leaves = [[tensor for _, tensor in structure.tensors(value)] for value in (whole, *parts)]
    if len({len(each) for each in leaves}) > 1:
        return False, None
    independent, layouts = True, list[Layout]()
    for tensor, first, second in zip(*leaves, strict=True):
        fits, layout = layout_of(tensor, first, second, samples)
        if makes:
            fits, layout = True, constant_layout(tensor, first, second, samples)
        if layout is None:
            return False, None
        independent = independent and fits
        layouts.append(layout)
    return independent, layouts


def layout_of(whole: torch.Tensor, first: torch.Tensor, second: torch.Tensor, samples: int = PART) -> tuple[bool, Layout | None]:
    """Whether two parts make up the whole, and how to cut it; None if no dimension can be the batch."""
    if whole.shape == first.shape == second.shape:
        return close(whole, first) and close(whole, second), SAME
    guess: Cut | None = None
    for cut in candidates(tuple(whole.shape), tuple(first.shape), tuple(second.shape), samples):
        if close(cut.part(whole, 0), first) and close(cut.part(whole, 1), second):
            return True, cut
        guess = guess or cut
    return False, guess


def constant_layout(whole: torch.Tensor, first: torch.Tensor, second: torch.Tensor, samples: int = PART) -> Layout:
    """How to cut what forward makes without looking at the samples.

    Each part has its own where these are alike (`arange(N)`, `eye(N)`); random ones are cut from the whole batch's.
    """
    if whole.shape == first.shape:
        return SAME
    halves = next(candidates(tuple(whole.shape), tuple(first.shape), tuple(second.shape), samples), None)
    if halves is None or close(halves.part(whole, 0), first):
        return Own((first, second))
    return halves


def candidates(whole: tuple[int, ...], first: tuple[int, ...], second: tuple[int, ...], samples: int = PART) -> Iterator[Cut]:
    """The ways in which tensors of two shapes may be parts of a third."""
    if not len(whole) == len(first) == len(second):
        return
    for dim, size in enumerate(whole):
        rest = [(*shape[:dim], *shape[dim + 1 :]) for shape in (whole, first, second)]
        sizes = first[dim], second[dim]
        if sum(sizes) != size or rest[0] != rest[1] or rest[0] != rest[2]:
            continue
        yield Cut(dim, sizes)
        if sizes == (size // 2, size // 2) and sizes[0] % samples == 0:
            times = sizes[0] // samples
            yield from (Cut(dim, sizes, outer) for outer in range(2, times + 1) if times % outer == 0)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal but for rounding."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if torch.equal(one, other) or not (one.is_floating_point() or one.is_complex()):
        return torch.equal(one, other)
    tolerance = _TOLERANCE.get(one.dtype, _ROUGH)
    if torch.dist(one, other, float("inf")) <= tolerance * torch.linalg.vector_norm(other, float("inf")):
        return True
    finite = one.isfinite()
    scale = float(one[finite].abs().max()) if finite.any() else 1.0
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance * max(scale, 1e-300), equal_nan=True)
