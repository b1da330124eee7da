"""Plans are tried, the one that got furthest first, until one builds a model whose forward runs.

Bounded by tries and by computing time, not by the clock: a busy machine builds the same models. What the project's own call
gives in full is built and not questioned; what was assumed must also run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from netcheck.load.construction.plans import Plan
from netcheck.load.construction.repairs import forward_repairs, repairs, user_frames
from netcheck.load.deadline import Deadline, OutOfTime
from netcheck.load.inference.search import Search as InputSearch
from netcheck.load.untouched import silent
from netcheck.load.without_gpu import lacks_gpu
from netcheck.torch_versions import forward_of

SECONDS = 2.4  # of computing, for one class
SECONDS_FORWARD = 0.6  # of these, to find inputs for one model
MOST_TRIES = 80
MOST_FORWARDS = 5
PATIENCE = 4  # repairs of one plan before the next best one has its turn


class Watched(TorchFunctionMode):
    """Ends what takes too long: each call of torch asks for the time."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline

    def __torch_function__(self, function: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, if there is time left."""
        self.deadline.check(furthest=False)
        return function(*args, **(kwargs or {}))


@contextmanager
def fitting() -> Iterator[None]:
    """Within this context a weight is only replaced by one of its own shape: `embedding.weight = nn.Parameter(table)`."""

    def check(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        weight = module._parameters.get(name)
        if weight is not None and parameter is not None and not is_lazy(weight) and weight.shape != parameter.shape:
            raise RuntimeError(f"size mismatch: the shape in current model is {weight.shape}")  # as `load_state_dict` says it

    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()


@dataclass(order=True)
class Entry:
    """A plan whose repairs are not all tried."""

    key: tuple[int, int, tuple[int, ...], int]
    rest: Iterator[Plan] = field(compare=False)
    tried: int = field(default=0, compare=False)
    start: int = field(default=0, compare=False)


class Search:
    """Finds a plan that builds a model."""

    def __init__(self, prepare: Callable[[Callable[[], Any]], Any], seconds: float = SECONDS) -> None:
        """Search.

        Args:
            prepare: calls what builds a model as models are built: with fixed random numbers, behind the fence.
            seconds: of computing that it may take.
        """
        self.prepare = prepare
        self.deadline = Deadline(seconds)
        self.tries = self.forwards = 0
        self.failure: BaseException | None = None  # of the plan that got furthest
        self.furthest: Plan | None = None
        self.built: Plan | None = None  # the first that built a model, if none also runs
        self._progress: tuple[int, ...] = ()
        self._seen: set[str] = set()
        self._frontier: list[Entry] = []

    @property
    def is_over(self) -> bool:
        """Whether tries or time are used up."""
        return self.tries >= MOST_TRIES or self.deadline.is_over

    def run(self, starts: Iterator[Plan]) -> Plan | None:
        """The plan that does; None if none does."""
        try:
            return self._run(starts) or self.built
        except OutOfTime:
            return self.built
        finally:
            self._frontier.clear()

    def _run(self, starts: Iterator[Plan]) -> Plan | None:
        for number, plan in enumerate(starts):
            if number > 0 and (self.is_over or self.built is not None):
                break
            if self._consider(plan, number):
                return plan
        while self._frontier and not self.is_over:
            entry = heapq.heappop(self._frontier)
            plan_or_none = next(entry.rest, None)
            if plan_or_none is None:
                continue
            entry.tried += 1
            entry.key = (entry.tried // PATIENCE, *entry.key[1:])
            heapq.heappush(self._frontier, entry)
            if self._consider(plan_or_none, entry.start):
                return plan_or_none
        return None

    def _consider(self, plan: Plan, start: int) -> bool:
        """Try a plan; whether it does. Else queue its repairs."""
        key = plan.key()
        if key in self._seen:
            return False
        self._seen.add(key)
        self.tries += 1
        try:
            assumed = plan.assumed()
            has_table = any(given.is_table_of_ones for given in assumed.values())
            with Watched(self.deadline) if assumed else nullcontext(), fitting() if has_table else nullcontext():
                model = self.prepare(plan.build)
        except OutOfTime:
            raise
        except Exception as error:
            self._queue(plan, error, repairs(error, plan), start)
            return False
        if not isinstance(model, nn.Module) or not plan.assumed():
            return True
        refusal = self._forward_error(model)
        if refusal is None:
            return True
        self.built = self.built or plan
        self._queue(plan, refusal, forward_repairs(refusal, plan), start)
        return False

    def _forward_error(self, model: nn.Module) -> BaseException | None:
        """What forward raises on the inputs with which it gets furthest; None if it runs, or nobody can tell."""
        if self.forwards >= MOST_FORWARDS or forward_of(type(model)) is nn.Module.forward:
            return None
        self.forwards += 1
        left = (1 - self.deadline.used) * self.deadline.seconds
        search = InputSearch(model, seconds=max(0.1, min(SECONDS_FORWARD, left / 2)))
        with silent():
            outcome = search.search()
        if outcome is not None or search.furthest is None or lacks_gpu(str(search.furthest.error)):
            return None
        return search.furthest.error

    def _queue(self, plan: Plan, error: BaseException, rest: Iterator[Plan], start: int) -> None:
        """Keep a plan for repair."""
        progress = tuple(line for _, line in reversed(user_frames(error)))
        if self.furthest is None or progress > self._progress:
            self.furthest, self.failure, self._progress = plan, error, progress
        order = (0, start, tuple(-line for line in progress), -self.tries)
        heapq.heappush(self._frontier, Entry(order, rest, start=start))
