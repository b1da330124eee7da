"""Follows each input through the torch calls that forward makes.

Every tensor that depends on an input has an Origin: which slots it comes from, which of its axes is which
axis of which slot (as far as transposes, slices and elementwise operations leave that clear), and whether its
values are still the slot's own.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from netcheck.load.deadline import Deadline
from netcheck.load.inference import demands, imagine
from netcheck.load.inference.axes import result_axes
from netcheck.load.inference.calls import Call, Operand, Origin, tensors_in
from netcheck.load.inference.demands import Demand
from netcheck.load.inference.expressions import names_unpacked
from netcheck.load.inference.proposals import BATCH, Proposal, Slot
from netcheck.load.inference.recurrent import asked_of_state
from netcheck.torch_versions import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    TorchFunctionMode,
    UnsupportedFakeTensorException,
)

NEEDS_VALUES = (DataDependentOutputException, DynamicOutputShapeException, UnsupportedFakeTensorException)
OWN, SHIFTED, OTHER = "own", "shifted", "other"  # what became of a slot's values

# fmt: off
JOINS = frozenset(("cat", "concat", "concatenate"))
REARRANGES = frozenset((
    "view", "reshape", "permute", "transpose", "unsqueeze", "squeeze", "flatten", "to", "long", "int",
    "float", "type", "contiguous", "clone", "detach", "__getitem__", "expand", "expand_as", "repeat",
    "split", "chunk", "unbind", "cat", "concat", "stack", "narrow", "select", "t", "T", "mT",
    "repeat_interleave", "roll", "flip", "movedim", "swapaxes", "unfold", "view_as", "reshape_as", "tile",
    "clamp", "type_as", "cpu", "cuda", "double", "half", "masked_fill", "where", "pad", "new_tensor",
    "as_strided",
))
SHIFTS = frozenset((
    "add", "add_", "sub", "mul", "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__",
    "__iadd__", "__floordiv__", "floor_divide",
))
# fmt: on


class Refused(Exception):
    """A call that fake tensors let pass and real ones would not, or that no batch of samples could mean."""

    def __init__(self, demand: Demand) -> None:
        super().__init__(f"{demand.by} takes {demand.want}, not {demand.have}")
        self.demand = demand


@dataclass(frozen=True, slots=True)
class Consumer:
    """The first weight that an input met."""

    operation: str
    parameter: str
    shape: tuple[int, ...]  # of the weight


@dataclass
class Recorder(TorchFunctionMode):
    """Sees every torch call of one run."""

    proposal: Proposal
    deadline: Deadline
    furthest: int = 0  # calls that an earlier run finished
    imagines: bool = False  # make up what fake tensors do not know
    calls: int = 0
    names: set[str] = field(default_factory=set)  # of the functions that were called
    failed: tuple[Call, BaseException] | None = None
    output: Any = None
    parameters: dict[int, str] = field(default_factory=dict)  # id of a stand-in -> its name in the model
    consumers: dict[str, Consumer] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)  # slot -> its integers must be below
    rooms: dict[str, Tensor] = field(default_factory=dict)  # slot -> how much larger each of its integers may be, by this run
    shifted: set[str] = field(default_factory=set)  # slots to whose integers something was added before they were looked up
    doubts: list[Demand] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)  # slot -> how many entries were picked along the batch
    columns: dict[str, int] = field(default_factory=dict)  # slot -> how many entries of axis 1 were picked one by one
    fixed: set[str] = field(default_factory=set)  # symbols that a weight has confirmed
    used: set[str] = field(default_factory=set)  # slots that were used in any other way
    scalars: dict[str, str] = field(default_factory=dict)  # slot -> which Python type it was turned into
    _origins: dict[int, tuple[Tensor, Origin]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._slots = self.proposal.slots()

    def introduce(self, slot: Slot, tensor: Tensor) -> None:
        """Start to follow an input."""
        axes = tuple((slot.name, axis) for axis in range(tensor.dim()))
        self._origins[id(tensor)] = (tensor, Origin(frozenset({slot.name}), axes, OWN))

    def origin(self, tensor: Any) -> Origin | None:
        """Where a tensor comes from."""
        known = self._origins.get(id(tensor))
        return known[1] if known else None

    def forget(self) -> None:
        """Let go of the tensors of the run."""
        self._origins.clear()

    def followed(self) -> list[tuple[Tensor, Origin]]:
        """Every tensor that depends on an input, the newest first."""
        return list(self._origins.values())[::-1]

    def is_input(self, origin: Origin) -> bool:
        """Whether a tensor is one slot, axis for axis."""
        return origin.is_whole and len(origin.axes) == len(self._slots[next(iter(origin.sources))].dims or ())

    def is_guess(self, origin: Origin) -> bool:
        """Whether a tensor is one slot whose rank is but a guess."""
        return self.is_input(origin) and not self._slots[next(iter(origin.sources))].settled

    def is_batch(self, axis: tuple[str, int] | None) -> bool:
        """Whether an axis is the batch of some input."""
        return self.symbol(axis) == BATCH

    def symbol(self, axis: tuple[str, int] | None) -> str | None:
        """The symbol of one axis of one slot."""
        if axis is None:
            return None
        dims = self._slots[axis[0]].dims
        return dims[axis[1]] if dims is not None and axis[1] < len(dims) else None

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        if name == "__get__" and isinstance(args[0], Tensor):
            out = func(*args, **kwargs)
            if isinstance(out, Tensor):
                self._follow(Call(getattr(getattr(func, "__self__", None), "__name__", name), args, kwargs, self), out)
            return out
        self.deadline.check(furthest=self.calls > self.furthest)
        call = Call(name, args, kwargs, self)
        self.names.add(name)
        try:
            self._examine(call)
            out = func(*args, **kwargs)
        except Exception as error:
            out = self._imagined(call, func, error)
            if out is not imagine.UNKNOWN:
                self.calls += 1
                self._follow(call, out)
                return out
            if self.failed is None or self.failed[1] is not error:
                self.failed = (call, error)
            raise
        self.calls += 1
        self._follow(call, out)
        return out

    def _imagined(self, call: Call, func: Any, error: Exception) -> Any:
        """A plausible result for a call that fakes cannot answer."""
        if call.name in imagine.STRICTER_ON_FAKES and not isinstance(error, Refused):
            return imagine.STRICTER_ON_FAKES[call.name](call)
        return imagine.imagine(call, func) if self.imagines and isinstance(error, NEEDS_VALUES) else imagine.UNKNOWN

    def enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """A module is about to run: note a sequence without a batch, or with it on the wrong axis; refuse a wrong state.

        Raises:
            Refused: the layer does not take that state.
        """
        if args and isinstance(args[0], Tensor) and isinstance(module, demands.SEQUENCE_MODULES):
            self.doubts.extend(self._odd_sequence(module, args[0]))
        asked = list(asked_of_state(module, args, self))
        if asked:
            self.doubts.extend(asked[:-1])
            raise Refused(asked[-1])

    def _odd_sequence(self, module: nn.Module, x: Tensor) -> Iterator[Demand]:
        """A sequence without a batch, or with it on the wrong axis."""
        origin = self.origin(x)
        if origin is None:
            return
        if x.dim() == 2:
            yield Demand("rank", origin, 2, 3, by=type(module).__name__)
        elif x.dim() == 3 and getattr(module, "batch_first", None) is False:
            symbols = [self.symbol(axis) for axis in origin.axes]
            if symbols[0] == BATCH and symbols[1] not in (BATCH, None):
                yield Demand("swap", origin, 0, 1, by=type(module).__name__)

    def _examine(self, call: Call) -> None:
        """Before a call: refuse what fake tensors let pass, note what is odd."""
        tracked = [operand for operand in call.operands() if operand.origin is not None]
        if not tracked:
            return
        for demand in demands.refusals(call):
            raise Refused(demand)
        self._note_structure(call, tracked[0])
        self.doubts.extend(demands.oddities(call))
        demands.note_bounds(call, self.bounds)
        if call.name in ("embedding", "embedding_bag"):
            self._note_room(call.get(0, "input"), call.get(1, "weight").shape[0])

    def _note_room(self, index: Any, rows: int) -> None:
        """How far below the end of a table the shifted integers of an input lie, where they have values."""
        origin = self.origin(index)
        if origin is None or origin.values == OTHER or len(origin.sources) != 1:
            return
        (slot,) = origin.sources
        self.shifted.update({slot} if origin.values == SHIFTED else ())
        if isinstance(index, FakeTensor) or index.is_meta:
            return
        room = rows - index.detach().cpu()
        known = self.rooms.get(slot)
        whole = self.is_input(origin) and (known is None or known.shape == room.shape)
        shape = self.proposal.shape(self._slots[slot])
        if not whole:
            room = torch.full(shape, int(room.min()))
        self.rooms[slot] = room if known is None else torch.minimum(known, room)

    def _note_structure(self, call: Call, operand: Operand) -> None:
        """Note an input that is taken apart along its batch axis, or used as a plain Python value."""
        origin = operand.origin
        if origin is None or origin.values != OWN or not self.is_input(origin):
            return
        (slot,) = origin.sources
        index = call.args[1] if call.name == "__getitem__" else None
        if isinstance(index, tuple) and len(index) == 2 and index[0] == slice(None) and type(index[1]) is int and index[1] >= 0:
            self.columns[slot] = max(index[1] + 1, self.columns.get(slot, 0))
        elif call.name not in ("size", "dim", "__len__", "to", "device"):
            self.used.add(slot)
        python = {
            "__bool__": "bool",
            "__int__": "int",
            "__index__": "int",
            "__float__": "float",
            "item": "float",
            "tolist": "int",
        }
        if call.name in python:
            self.scalars[slot] = python[call.name]
        if operand.tensor.dim() == 0 or self.symbol(origin.axes[0]) != BATCH:
            return
        if call.name == "unbind" and (found := unpacked(sys._getframe(2))):
            count, names = found
            if count > 0:
                raise Refused(Demand("parts", origin, 1, count, by="an unpacking assignment", names=names))
            self.parts[slot] = max(2, self.parts.get(slot, 0))
        if call.name == "__getitem__":
            if isinstance(index, str):
                raise Refused(Demand("key", origin, None, index, by="a subscript"))
            if isinstance(index, int) and not isinstance(index, bool):
                self.parts[slot] = max(index + 1 if index >= 0 else -index, self.parts.get(slot, 0))

    def _follow(self, call: Call, out: Any) -> None:
        """After a call: give its results their origins."""
        operands = call.operands()
        tracked = [operand for operand in operands if operand.origin is not None]
        if not tracked:
            return
        weight = next((operand for operand in operands if operand.parameter and operand.tensor.dim() > 0), None)
        if call.name in demands.WEIGHT_AT:
            weight = next((o for o in operands if o.tensor is call.get(*demands.WEIGHT_AT[call.name])), weight)
        if weight is not None and weight.parameter:
            for operand in tracked:
                self._consume(call, operand, weight)
        for result in tensors_in((out,)):
            if any(result is operand.tensor for operand in tracked) and not call.name.endswith("_"):
                continue
            if id(result) not in self.parameters:
                self._origins[id(result)] = (result, derive(call, tracked, result))

    def _consume(self, call: Call, operand: Operand, weight: Operand) -> None:
        assert operand.origin is not None
        if len(operand.origin.sources) == 1:
            (slot,) = operand.origin.sources
            self.consumers.setdefault(slot, Consumer(call.name, weight.parameter, tuple(weight.tensor.shape)))
        if call.name in demands.WEIGHT_AT and not call.name.startswith("embedding") and operand.tensor.dim() > 1:
            symbol = self.symbol(operand.origin.axes[-1 if call.name == "linear" else 1])
            if symbol is not None:
                self.fixed.add(symbol)


def derive(call: Call, tracked: list[Operand], result: Tensor) -> Origin:
    """The origin of a call's result."""
    origins = [operand.origin for operand in tracked if operand.origin is not None]
    sources = frozenset().union(*(origin.sources for origin in origins))
    values = OTHER
    if call.name in REARRANGES:
        values = origins[0].values
    elif call.name in SHIFTS and not result.is_floating_point():
        values = SHIFTED if origins[0].values != OTHER else OTHER
    first = tracked[0]
    for operand in tracked[1:]:
        if first.tensor.shape != result.shape and operand.tensor.shape == result.shape:
            first = operand
    assert first.origin is not None
    axes = result_axes(call, first.tensor, first.origin, result)
    if call.name in JOINS:
        every = (result_axes(call, one.tensor, one.origin, result) for one in tracked if one.origin is not None)
        axes = tuple(next((axis for axis in alike if axis is not None), None) for alike in zip(*every, strict=True))
    return Origin(sources, axes, values)


def unpacked(frame: FrameType | None) -> tuple[int, tuple[str, ...]] | None:
    """To how many names `a, b = tensor` assigns, and to which; -1 for a loop over the tensor; None where neither iterates."""
    while frame is not None and (
        frame.f_code.co_name in ("__torch_function__", "_examine", "handle_torch_function")
        or frame.f_code.co_name == "_note_structure"
    ):
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "__iter__" or frame.f_back is None:
        return None
    caller = frame.f_back
    code, at = caller.f_code.co_code, caller.f_lasti
    if dis.opname[code[at]] != "UNPACK_SEQUENCE":
        return -1, ()
    return code[at + 1], names_unpacked(caller.f_code.co_filename, caller.f_lineno)
