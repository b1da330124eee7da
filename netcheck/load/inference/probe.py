"""One run of the model on stand-ins, and what it showed.

    Probe.run(proposal)
      +-- swapped               fake tensors for the model's own (or clones, where values matter)
      +-- Recorder              a TorchFunctionMode: follows each input through the torch calls
      +-- Outcome               the failed call, the error, the doubts, what each slot met first

Two engines: fake tensors, on which nothing is computed; and real ones, where a model's course depends on
values.
"""

from __future__ import annotations

import contextlib
import math
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy

from netcheck.load.allocations import bounded
from netcheck.load.deadline import Deadline, OutOfTime
from netcheck.load.fence.state import state
from netcheck.load.held import swapped, take_census
from netcheck.load.inference.calls import Call
from netcheck.load.inference.demands import Demand
from netcheck.load.inference.engines import FakeEngine, RealEngine
from netcheck.load.inference.expressions import frames_of
from netcheck.load.inference.proposals import Proposal, Slot
from netcheck.load.inference.recorder import NEEDS_VALUES, Consumer, Recorder, Refused
from netcheck.load.omit import require_let
from netcheck.load.untouched import untouched
from netcheck.torch_versions import NO_MEMORY

MOST_ELEMENTS = 2**27  # in one input that is not allocated
MOST_REAL_ELEMENTS = 2**22  # in one that is computed with
FEWEST_RUNS = 8  # until then, and once one has ended, a slow or busy machine may take longer
PATIENCE = 3.0  # so many times as long
MOST_MEMORY = 4 * 2**30  # bytes, that a run allocates on inputs that are computed with
LARGEST_REAL = 250_000_000  # elements in parameters and buffers that are copied when values matter

NOT_FOR_FAKES = (NO_MEMORY, ".numpy() is not supported", "_apply(): Couldn't swap")

Progress = tuple[int, tuple[int, ...]]


@dataclass
class Outcome:
    """What one run showed."""

    proposal: Proposal
    error: BaseException | None
    call: Call | None  # the torch call that failed, if it was one
    recorder: Recorder
    needs_values: bool = False  # the model asks for values, which fake tensors do not have
    demands: list[Demand] = field(default_factory=list)  # what would have to change, best first

    @property
    def ok(self) -> bool:
        """Whether forward returned."""
        return self.error is None

    @property
    def progress(self) -> Progress:
        """How far forward got: completed torch calls, then the failing lines, outermost first.

        Nothing counts if an input should have been a dict or a tuple.
        """
        if isinstance(self.error, Refused) and self.error.demand.kind in ("parts", "key", "bundle"):
            return 0, ()
        lines = frames_of(self.error.__traceback__) if self.error is not None else ()
        return self.recorder.calls, tuple(line for _, line in lines)

    def let_go(self) -> None:
        """Forget the tensors of the run, which may be many and large; what was read of them stays."""
        self.recorder.forget()
        for cause in causes(self.error):
            traceback.clear_frames(cause.__traceback__)

    @property
    def consumers(self) -> dict[str, Consumer]:
        """The first weight that each slot met."""
        return self.recorder.consumers


class Tries(Protocol):
    """Who runs proposals, as a repair sees it: the search."""

    model: nn.Module
    float_dtype: torch.dtype

    @property
    def is_over(self) -> bool:
        """Whether tries or time are used up."""
        ...

    def run(self, proposal: Proposal) -> Outcome:
        """Run a proposal, once."""
        ...


class Probe:
    """Runs a model on proposals and leaves it as it was."""

    def __init__(self, model: nn.Module, *, seconds: float) -> None:
        self.model = model
        self.runs = 0
        self.last: Proposal | None = None
        self.calls = 0  # of torch functions, in all runs together
        self.furthest = 0  # calls that the longest run finished
        self.imagines = False
        self.values_matter = False  # the course of forward depends on them
        self.census = take_census(model)  # once: it takes longer than many a run
        tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self.names = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        self.lazy = any(is_lazy(tensor) for tensor in tensors.values())
        known = [tensor for tensor in tensors.values() if not is_lazy(tensor)]
        self.can_be_real = not any(tensor.is_meta for tensor in known) and sum(t.numel() for t in known) <= LARGEST_REAL
        self.device = next((tensor.device for tensor in known if not tensor.is_meta), torch.device("cpu"))
        self.float_dtype = next((t.dtype for t in model.parameters() if t.dtype.is_floating_point), torch.get_default_dtype())
        self.engine: FakeEngine | RealEngine = RealEngine() if self.lazy else FakeEngine()
        self.deadline = Deadline(seconds)  # after the engine, which may import torch's compiler

    def use_values(self) -> bool:
        """Compute for real from now on, or make up values where that is impossible; False if done already."""
        if isinstance(self.engine, RealEngine) or self.imagines:
            return False
        if self.can_be_real:
            self.engine = RealEngine()
        else:
            self.imagines = True
        return True

    def run(self, proposal: Proposal) -> Outcome:
        """Run forward once.

        Raises:
            OutOfTime: the deadline passed.
            TraceError: forward asked for something that it is not let do; no other inputs would help.
        """
        self.runs, self.last = self.runs + 1, proposal
        recorder = Recorder(proposal, deadline=self.deadline, furthest=self.furthest, imagines=self.imagines)
        error: BaseException | None = None
        limit = MOST_REAL_ELEMENTS if isinstance(self.engine, RealEngine) else MOST_ELEMENTS
        if any(math.prod(shape) > limit for shape in proposal.shapes().values()):
            return Outcome(proposal, MemoryError("too large an input"), None, recorder)
        try:
            with (
                untouched(),
                swapped(self.census, lambda tensor: self._stand_in(tensor, recorder)),
                self.engine.mode(),
                self._memory(),
                torch.enable_grad(),
                watched(recorder),
            ):
                args, kwargs = proposal.build(lambda slot, shape: self._make(slot, shape, recorder))
                with recorder:
                    recorder.output = self.model(*args, **kwargs)
        except OutOfTime:
            raise
        except (Exception, SystemExit) as caught:
            require_let(caught)
            error = caught
        self.deadline.patience = PATIENCE if self.runs < FEWEST_RUNS else 1.0
        self.furthest = max(self.furthest, recorder.calls)
        self.calls += recorder.calls
        chain = tuple(causes(error))
        failed = recorder.failed
        call = failed[0] if failed and any(failed[1] is cause for cause in chain) else None
        return Outcome(proposal, error, call, recorder, needs_values=any(needs_values(cause) for cause in chain))

    def _memory(self) -> contextlib.AbstractContextManager[None]:
        """A bound on what a try computes with, in netcheck's own processes."""
        is_own = state.closed > 0 and state.thread is None
        return bounded(MOST_MEMORY) if is_own and isinstance(self.engine, RealEngine) else contextlib.nullcontext()

    def runs_on(self, proposal: Proposal, values: Mapping[str, Any]) -> bool:
        """Whether forward runs on these values of its slots; True where nobody can tell."""
        if not isinstance(self.engine, RealEngine):
            return True
        before, self.engine = (
            self.engine,
            RealEngine({name: value for name, value in values.items() if isinstance(value, Tensor)}),
        )
        try:
            return self.run(proposal).ok
        except OutOfTime:
            return True
        finally:
            self.engine = before

    def _stand_in(self, tensor: Tensor, recorder: Recorder) -> Tensor:
        stand_in = self.engine.stand_in(tensor)
        if id(tensor) in self.names:
            recorder.parameters[id(stand_in)] = self.names[id(tensor)]
        return stand_in

    def _make(self, slot: Slot, shape: tuple[int, ...], recorder: Recorder) -> Any:
        if slot.dims is None:
            return slot.value
        made = self.engine.make(slot, shape, self.device, recorder.proposal.longest)
        recorder.introduce(slot, made)
        return made


@contextlib.contextmanager
def watched(recorder: Recorder) -> Iterator[None]:
    """Let the recorder see which modules are entered, by a global hook: the model's own stay untouched."""
    handle = register_module_forward_pre_hook(recorder.enter)
    try:
        yield
    finally:
        handle.remove()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def needs_values(error: BaseException) -> bool:
    """Whether an error says that a fake tensor has no values."""
    return isinstance(error, NEEDS_VALUES) or any(text in str(error) for text in NOT_FOR_FAKES)
